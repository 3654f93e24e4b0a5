"""A driver's sign of life: renews its lease and passes on how far running segments are."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import LeaseLost
from sweeper.store.lease import RENEWAL_S
from sweeper.sweep import Assignment, Sweep
from trainers.segment import Control

logger = logging.getLogger(__name__)


class Heartbeat:
    """Runs beside a runner, in a thread of its own; a lost lease asks the runner to stop."""

    def __init__(self, sweep: Sweep, stop: threading.Event, interval_s: float = RENEWAL_S) -> None:
        self.sweep = sweep
        self.stop = stop
        self.interval_s = interval_s
        self.lease_lost = False
        self._heard: dict[int, tuple[Assignment, int]] = {}  # since the last beat, by segment
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def control(self, assignment: Assignment) -> Control:
        """Return what a trainer needs to report on this segment and to be told to stop."""

        def note(step: int) -> None:
            self.note(assignment, step)

        note(assignment.segment.start)
        return Control(on_progress=note, should_stop=self.stop.is_set)

    def note(self, assignment: Assignment, step: int) -> None:
        """Note that a segment's worker was heard of at `step`; stored with the next beat."""
        with self._guard:
            self._heard[assignment.id] = (assignment, step)

    def check_lease(self) -> None:
        """Raise LeaseLost when another driver has taken the sweep over."""
        if self.lease_lost:
            raise LeaseLost("another driver took this sweep over; run the same command to watch it")

    def _run(self) -> None:
        while not self._over.wait(self.interval_s):
            try:
                self._beat()
            except LeaseLost:
                self.lease_lost = True
                self.stop.set()
                return
            except SQLAlchemyError as error:
                # The database may be away for a moment; record() will say so if it stays away.
                logger.warning("no sign of life could be stored: %s", error)

    def _beat(self) -> None:
        self.sweep.lease.renew(self.sweep.engine)
        with self._guard:
            heard, self._heard = self._heard, {}
        for assignment, step in heard.values():
            self.sweep.hear(assignment, step)
