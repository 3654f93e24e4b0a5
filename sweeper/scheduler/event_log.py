"""The log of a driver: `logs/sweep.jsonl`, beside the logs of the sweep's segments.

It repeats the events that the database holds, each once, when they are committed, and adds who
drove, and what went wrong around.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Row, text

from sweeper.core.names import search_name, this_user
from sweeper.core.provenance import versions
from trainers.errors import UserError
from trainers.runtime.json_log import detail, json_log

LAST = text("SELECT coalesce(max(id), 0) FROM sweeper.event WHERE sweep_id = :sweep_id")
LATER = text("""
SELECT e.id, e.kind, e.number, e.detail, y.method, y.repeat FROM sweeper.event e
LEFT JOIN sweeper.study y ON y.id = e.study_id
WHERE e.sweep_id = :sweep_id AND e.id > :last AND e.kind <> 'digest' ORDER BY e.id
""")

logger = logging.getLogger(__name__)
LEVELS = {"sweeper": logging.INFO, "trainers": logging.WARNING}


class EventLog:
    """How far a driver's log has come with a sweep's events."""

    def __init__(self, sweep_id: int) -> None:
        self._sweep_id = sweep_id
        self._last: int | None = None

    def begin(self, connection: Connection) -> None:
        """Leave out what was there before this driver."""
        if self._last is None:
            last = connection.scalar(LAST, {"sweep_id": self._sweep_id})
            self._last = int(last or 0)

    def new_events(self, connection: Connection) -> list[Row[Any]]:
        """Return the events that were not logged yet; nothing while there is no log."""
        if not logger.isEnabledFor(logging.INFO):
            return []
        values = {"sweep_id": self._sweep_id, "last": self._last or 0}
        return list(connection.execute(LATER, values))

    def log(self, events: Iterable[Row[Any]]) -> None:
        """Log events; to be called after the commit."""
        for event in events:
            self._last = event.id
            study = None if event.method is None else search_name(event.method, event.repeat)
            about = {"method": study, "trial": event.number}
            known = {name: value for name, value in about.items() if value is not None}
            logger.info("%s", event.kind, extra=detail(**(event.detail | known)))


class SweepLog:
    """The log of a sweep for as long as the block runs; an error in it is logged as well."""

    def __init__(
        self, file: Path, *, sweep: str, epoch: int, where: str, stop: threading.Event
    ) -> None:
        """`where` it trains, for people; `stop` is set where it was stopped."""
        self.file = file
        self._sweep, self._epoch, self._where, self._stop = sweep, epoch, where, stop
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(json_log(self.file, LEVELS))
        said = detail(
            sweep=self._sweep,
            who=this_user(),
            host=socket.gethostname(),
            pid=os.getpid(),
            epoch=self._epoch,
            trains_on=self._where,
            versions=versions(),
        )
        logger.info("driver started", extra=said)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._open:
            self._log_end(error)

    def _log_end(self, error: BaseException | None) -> None:
        if error is None:
            how = "stopped" if self._stop.is_set() else "done"
            logger.info("driver ended", extra=detail(how=how))
        elif isinstance(error, UserError | KeyboardInterrupt):
            how = str(error) or type(error).__name__
            logger.info("driver ended", extra=detail(how=how))
        else:
            # Not logged as an error: the console shows the traceback anyway.
            logger.info("driver ended", exc_info=error, extra=detail(how="crashed"))
            error.add_note(f"log of the sweep: {self.file}")
