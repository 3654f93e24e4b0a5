"""Repeating a sweep's events in its driver's log, each once, when they are committed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, text

from sweeper.core.names import search_name
from trainers.runtime.json_log import detail

LAST = text("SELECT coalesce(max(id), 0) FROM sweeper.event WHERE sweep_id = :sweep_id")
LATER = text("""
SELECT e.id, e.kind, e.number, e.detail, y.method, y.repeat FROM sweeper.event e
LEFT JOIN sweeper.study y ON y.id = e.study_id
WHERE e.sweep_id = :sweep_id AND e.id > :last AND e.kind <> 'sealed' ORDER BY e.id
""")

logger = logging.getLogger(__name__)


class Chronicle:
    """How far a driver's log has come with a sweep's events."""

    def __init__(self, sweep_id: int) -> None:
        self._sweep_id = sweep_id
        self._last: int | None = None

    def begin(self, connection: Connection) -> None:
        """Leave out what was there before this driver."""
        if self._last is None:
            last = connection.scalar(LAST, {"sweep_id": self._sweep_id})
            self._last = int(last or 0)

    def news(self, connection: Connection) -> list[Row[Any]]:
        """Return the events that were not told yet; nothing while there is no log."""
        if not logger.isEnabledFor(logging.INFO):
            return []
        values = {"sweep_id": self._sweep_id, "last": self._last or 0}
        return list(connection.execute(LATER, values))

    def tell(self, events: Iterable[Row[Any]]) -> None:
        """Log events; to be called after the commit."""
        for event in events:
            self._last = event.id
            study = None if event.method is None else search_name(event.method, event.repeat)
            about = {"method": study, "trial": event.number}
            known = {name: value for name, value in about.items() if value is not None}
            logger.info("%s", event.kind, extra=detail(**(event.detail | known)))
