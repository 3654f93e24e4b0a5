"""The inline runner: every segment in this process, one after another."""

from __future__ import annotations

from dataclasses import dataclass

from sweeper.core.errors import SweeperError
from sweeper.postgres.retry import retry_on_disconnect
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.runner import OnOutcome, TrainPrerequisites, foreign_segment
from sweeper.scheduler.state_machine import Assignment, Idle, Sweep
from trainers.training.segment import Outcome, Runs


@dataclass(frozen=True)
class InlineRunner:
    """The process of the driver, as a runner."""

    trainer: Runs
    where: str

    def run(
        self,
        sweep: Sweep,
        heartbeat: Heartbeat,
        train_prerequisites: TrainPrerequisites,
        on_outcome: OnOutcome | None = None,
    ) -> bool:
        """Run the sweep; see `run_inline`."""
        return run_inline(sweep, self.trainer, heartbeat, train_prerequisites, on_outcome)


def run_inline(
    sweep: Sweep,
    trainer: Runs,
    heartbeat: Heartbeat,
    train_prerequisites: TrainPrerequisites,
    on_outcome: OnOutcome | None = None,
) -> bool:
    """Run segments until the sweep is done (True) or the heartbeat's stop is set (False).

    `train_prerequisites` is called, with who can train, when something is missing: a teacher, say.
    Whatever is interrupted is stored first: its trials go on from there at the next launch. Raises
    LeaseLost when another driver has taken over.
    """
    while not heartbeat.stop.is_set():
        # Nothing runs here at this moment, so a retry may give up all that is in flight.
        assignment = retry_on_disconnect(sweep.next_segment, before_retry=sweep.recover)
        if assignment is Idle.DONE:
            return True
        if assignment is Idle.NEEDS_PREREQUISITES:
            train_prerequisites(trainer)
        elif isinstance(assignment, Assignment):
            outcome = _run(trainer, assignment, heartbeat)
            retry_on_disconnect(lambda: sweep.record(assignment, outcome))  # noqa: B023 - called at once
            if on_outcome is not None:
                on_outcome(assignment, outcome)
        else:
            raise foreign_segment()
    heartbeat.check_lease()
    return False


def _run(trainer: Runs, assignment: Assignment, heartbeat: Heartbeat) -> Outcome:
    try:
        return trainer.run(assignment.segment, heartbeat.control(assignment))
    except OSError as error:
        raise SweeperError(
            f"segment {assignment.id} was lost: {error}; see to {assignment.segment.folder}, "
            "then run the same command again"
        ) from error
