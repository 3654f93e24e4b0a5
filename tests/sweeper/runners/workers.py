"""Trainers and workers that take their time, so that something can happen to them meanwhile."""

from __future__ import annotations

import time

from trainers.training.cohort import Trainer
from trainers.training.segment import Control, Outcome, Segment
from trainers.training.worker import Worker

STEP_S = 0.1


class SlowTrainer(Trainer):
    """Sleeps after each step."""

    def run(self, segment: Segment, control: Control | None = None) -> Outcome:
        told = control or Control()

        def rest(step: int) -> None:
            told.on_progress(step)
            time.sleep(STEP_S)

        return super().run(segment, Control(on_progress=rest, should_stop=told.should_stop))


class SlowWorker(Worker):
    """Works with a slow trainer."""

    def __init__(self) -> None:
        super().__init__()
        self._trainer = SlowTrainer()


class IdleWorker(Worker):
    """Does nothing."""

    def run(self, job: int, segment: Segment) -> Outcome:  # noqa: ARG002 - as a worker's
        return Outcome(members=(), wall_seconds=0.0, device_name="none")
