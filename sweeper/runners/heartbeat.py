"""A driver's heartbeat: renews its lease, stores how far segments are, reads what is asked of it.

A pause, a cancellation or a limit reach the runner here, as a stop like a signal's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from sweeper.core.errors import LeaseLost
from sweeper.core.launch_limits import NO_LIMITS, End, Limits
from sweeper.scheduler.lease import RENEWAL_S
from sweeper.scheduler.pause_and_cancel import read_requests
from sweeper.scheduler.state_machine import Assignment, Sweep
from trainers.training.segment import Control

logger = logging.getLogger(__name__)


def _ignore(line: str) -> None:
    """Nobody wants to know."""


class Heartbeat:
    """Runs beside a runner, in a thread of its own; a lost lease asks the runner to stop."""

    def __init__(
        self,
        sweep: Sweep,
        stop: threading.Event,
        interval_s: float = RENEWAL_S,
        *,
        limits: Limits = NO_LIMITS,
        print_status: Callable[[str], None] = _ignore,
    ) -> None:
        self.sweep = sweep
        self.stop = stop
        self.interval_s = interval_s
        self.limits = limits
        self.print_status = print_status
        self.lease_lost = False
        self.end: End | None = None  # why `stop` was set, unless it was by a signal
        self._unwanted: frozenset[int] = frozenset()  # segments
        self._budgets: Mapping[str, int] | None = None
        self._reached: dict[
            int, tuple[Assignment, int]
        ] = {}  # since the last heartbeat, by segment
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

        def should_stop() -> bool:
            return self.stop.is_set() or assignment.id in self._unwanted

        note(assignment.segment.start)
        return Control(on_progress=note, should_stop=should_stop)

    def note(self, assignment: Assignment, step: int) -> None:
        """Note that a segment's worker has reached `step`; stored with the next heartbeat."""
        with self._guard:
            self._reached[assignment.id] = (assignment, step)

    def check_lease(self) -> None:
        """Raise LeaseLost when another driver has taken the sweep over."""
        if self.lease_lost:
            raise LeaseLost("another driver took this sweep over; run the same command to watch it")

    def read_requests(self) -> None:
        """Read what is asked of the driver, and set `stop` and `end` where it is to end."""
        requests = read_requests(self.sweep.engine, self.sweep.id, self.limits)
        self._unwanted = requests.unwanted
        self._print_added(requests.budgets)
        if requests.end is not None and not self.stop.is_set():
            self.end = requests.end
            self.stop.set()

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
                logger.warning("no heartbeat could be stored: %s", error)

    def _beat(self) -> None:
        self.sweep.lease.renew(self.sweep.engine)
        with self._guard:
            reached, self._reached = self._reached, {}
        for assignment, step in reached.values():
            self.sweep.record_heartbeat(assignment, step)
        before = self.end
        self.read_requests()
        if self.end is not before and self.end is not None:
            self.print_status(f"{self.end.why}: finishing the running step and saving")

    def _print_added(self, budgets: Mapping[str, int]) -> None:
        before, self._budgets = self._budgets, budgets
        added = [f"{name} {budget}" for name, budget in budgets.items() - (before or {}).items()]
        if before is not None and added:
            self.print_status(f"another launch adds trials, up to {', '.join(sorted(added))}")
