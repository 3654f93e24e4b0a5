"""What is known of a task's costs: read from the log, or measured here on a few steps.

Torch is loaded only where something is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from sweeper.estimate.forecast import Forecast, Pace, one_after_another
from sweeper.estimate.pacing import USUAL, Spent, complete, fit
from sweeper.prerequisites.artifact_cache import is_stored
from sweeper.scheduler.declaration import BASELINE
from sweeper.store import past_costs
from trainers.tasks import Task

if TYPE_CHECKING:
    from trainers.training.probe import Probe

CALIBRATION_BATCHES = 16  # that each method's gradients are measured on
MEASURED_NOW = "measured now"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a sweep would be trained."""

    engine: Engine
    device: str | None = None  # None: a GPU if there is one
    data_root: Path | None = None
    cohort: int | None = None  # most trials that train together; None: as the task says


class Survey:
    """One task at a place; to be closed: what was loaded for measuring ends then."""

    def __init__(self, task: Task, place: Place) -> None:
        self.task, self.place = task, place
        self.cohort = place.cohort or task.search.cohort
        self._to_close = ExitStack()

    def close(self) -> None:
        """Remove what measuring has written."""
        self._to_close.close()

    def device(self, sweep: str = "") -> str:
        """Return the model of the device that times are of.

        It is the one that was named; else the one that trained the task last, in that sweep or in
        any; else the one here.
        """
        if self.place.device is None:
            with self.place.engine.connect() as connection:
                last = past_costs.last_device(connection, self.task, sweep)
            if last is not None:
                return last
        from trainers.runtime.devices import model_of

        return model_of(self.place.device)

    def paces(self, methods: Sequence[str], device: str) -> dict[str, Pace]:
        """Return how long the methods' steps take on such a device, by the log or as measured."""
        with self.place.engine.connect() as connection:
            known = fit(past_costs.read_spent(connection, self.task, device), f"log, {device}")
        return complete(known or self._measured(methods), methods)

    def recipe(self) -> str | None:
        """Return the identity of the task's teacher; None where the task has none."""
        from trainers.tasks.identity import TEACHER_SEED, teacher_identity

        fingerprint = self._probe.dataset.fingerprint
        return teacher_identity(self.task, fingerprint, TEACHER_SEED) if self.task.teacher else None

    def setup(self, recipe: str | None, to_calibrate: Sequence[Pace], first_rung: int) -> Forecast:
        """Return what is made before anything else: the teacher, unless it is there, calibrations.

        `recipe`: the teacher's identity, None where nobody needs one.
        """
        made = Forecast()
        if recipe is not None and not is_stored(self.place.engine, recipe):
            steps = self._probe.task.teacher_task().schedule.steps
            made = made.then(one_after_another(self._probe.teacher_step_seconds() * steps, steps))
        if to_calibrate:
            student = min(pace.alone for pace in to_calibrate) * first_rung
            gradients = sum(pace.alone for pace in to_calibrate) * CALIBRATION_BATCHES
            made = made.then(one_after_another(student + gradients, first_rung))
        return made

    def stored(self) -> Mapping[str, Any]:
        """Return what the store says besides: noise of seeds, sizes of trials."""
        with self.place.engine.connect() as connection:
            kept = past_costs.checkpoint_bytes(connection, self.task)
            if kept is None and "_probe" in vars(self):
                kept = self._probe.weights_bytes()
            return {
                "noise": past_costs.read_noise(connection, self.task),
                "checkpoint_bytes": kept,
                "trial_bytes": past_costs.trial_bytes(connection),
            }

    @cached_property
    def _probe(self) -> Probe:
        from trainers.runtime.devices import choose_device
        from trainers.training.probe import Probe

        device = choose_device(self.place.device)
        return self._to_close.enter_context(closing(Probe(self.task, self.place.data_root, device)))

    def _measured(self, methods: Sequence[str]) -> dict[str, Pace]:
        """Measure the baseline, and the plainest method with a teacher where any method has one."""
        taught = self.task.teacher is not None and set(methods) - {BASELINE}
        names = (BASELINE, USUAL) if taught else (BASELINE,)
        ending = self._probe.evaluation_seconds()
        found = fit((spent for name in names for spent in self._tried(name)), MEASURED_NOW)
        return {name: replace(pace, ending=ending) for name, pace in found.items()}

    def _tried(self, method: str) -> Iterator[Spent]:
        for size in sorted({1, self.cohort}):
            seconds = self._probe.step_seconds(method, size)
            yield Spent(method=method, cohort=size, steps=size, seconds=seconds)
