"""What every runner is to a driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sweeper.core.errors import SweeperError
from sweeper.runners.heartbeat import Heartbeat
from sweeper.scheduler.state_machine import Assignment, Sweep
from trainers.training.segment import Outcome, Runs

TrainPrerequisites = Callable[[Runs], None]  # is given who can train it
OnOutcome = Callable[[Assignment, Outcome], None]


def foreign_segment() -> SweeperError:
    """Return the fault of a sweep that waits for a segment nobody here runs."""
    return SweeperError("a segment is in flight that this process does not run: relaunch")


class Runner(Protocol):
    """Takes segments from the state machine and brings outcomes back."""

    @property
    def where(self) -> str:
        """Where it trains, for people."""
        ...

    def run(
        self,
        sweep: Sweep,
        heartbeat: Heartbeat,
        train_prerequisites: TrainPrerequisites,
        on_outcome: OnOutcome | None = None,
    ) -> bool:
        """Run segments until the sweep is done (True) or the heartbeat's stop is set (False)."""
        ...
