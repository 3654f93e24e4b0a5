"""The inline runner: every segment in this process, one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sweeper.errors import LeaseLost
from sweeper.runners.heartbeat import Heartbeat
from sweeper.sweep import Idle, Sweep
from trainers.segment import Control, Outcome, Segment


class Runs(Protocol):
    """Whatever can run a segment; `trainers.cohort.Trainer` does."""

    def run(self, segment: Segment, control: Control) -> Outcome:
        """Train the segment's members and say what became of them."""
        ...


def run_inline(
    sweep: Sweep,
    trainer: Runs,
    heartbeat: Heartbeat,
    announce: Callable[[Outcome], None] | None = None,
) -> bool:
    """Run segments until the sweep is done (True) or the heartbeat's stop is set (False).

    Whatever is interrupted is stored first: its trials go on from there at the next launch. Raises
    LeaseLost when another driver has taken over.
    """
    while not heartbeat.stop.is_set():
        assignment = sweep.next_segment(slots=1)
        if isinstance(assignment, Idle):
            return True
        outcome = trainer.run(assignment.segment, heartbeat.control(assignment))
        sweep.record(assignment, outcome)
        if announce is not None:
            announce(outcome)
    if heartbeat.lease_lost:
        raise LeaseLost("another driver took this sweep over; run the same command to watch it")
    return False
