"""A trainer that reports how far it is, and can be stopped, from other threads while it trains.

Its methods are called from several threads at once: `run` by one, the others by another.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.tasks.schema import Data
from trainers.training.cohort import Trainer
from trainers.training.environment import Environment, environment
from trainers.training.segment import Control, Outcome, Segment


@dataclass(frozen=True, kw_only=True)
class WorkerDescription:
    """What a new worker has to work with."""

    environment: Environment
    fingerprint: str  # of the data set as it lies there


@dataclass(frozen=True, kw_only=True)
class WorkerStatus:
    """How far a worker is with a job."""

    step: int
    heartbeats: int  # since the job began: their number rises even while the step stands still


class Worker:
    """Runs jobs, one at a time; each is a segment under a number that the driver gives."""

    def __init__(self) -> None:
        self._trainer = Trainer()
        self._stop = threading.Event()
        self._at: tuple[int, WorkerStatus] | None = None  # job and status: changed together

    def describe(
        self,
        data: Data,
        root: Path | None,
        packages: Sequence[str],
        marker: Path | None,
        folder: Path,
    ) -> WorkerDescription:
        """Return what the worker has to work with; the data set stays loaded.

        Goes to `folder`, from which relative paths are meant, where there is one of that name.
        Raises DataError where the data cannot be had.
        """
        # Before the change of folder, since the code was sent to the folder that we begin in.
        here = environment(packages, marker)
        with contextlib.suppress(OSError):
            os.chdir(folder)
        return WorkerDescription(
            environment=here,
            fingerprint=self._trainer.dataset(data, root).fingerprint,
        )

    def run(self, job: int, segment: Segment) -> Outcome:
        """Train a segment; what `Trainer.run` raises is raised here."""
        status = WorkerStatus(step=segment.start, heartbeats=0)

        def note(step: int | None = None) -> None:
            nonlocal status
            reached = status.step if step is None else step
            status = WorkerStatus(step=reached, heartbeats=status.heartbeats + 1)
            self._at = (job, status)

        self._at = (job, status)
        control = Control(on_progress=note, on_heartbeat=note, should_stop=self._stop.is_set)
        try:
            return self._trainer.run(segment, control)
        finally:
            self._at = None

    def status(self, job: int) -> WorkerStatus | None:
        """Return how far the job is; None where it is not the one that runs."""
        at = self._at
        return at[1] if at is not None and at[0] == job else None

    def stop(self) -> None:
        """End the running job after its step, and every later one after its first."""
        self._stop.set()
