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

from sweeper.core.constants import BASELINE
from sweeper.core.equal_cost import PLAIN
from sweeper.estimate.forecast import Forecast, StepTime, one_after_another
from sweeper.prerequisites.artifact_cache import is_stored
from sweeper.store import past_costs
from sweeper.store.past_costs import Spent
from trainers.tasks import Task
from trainers.tasks.identity import TEACHER_SEED, teacher_identity
from trainers.training.segment import CALIBRATION_BATCHES

if TYPE_CHECKING:
    from trainers.training.probe import Probe
from collections.abc import Iterable
from itertools import groupby

import search_spaces
from sweeper.core.errors import SweeperError

MEASURED_NOW = "measured now"


@dataclass(frozen=True, kw_only=True)
class TrainingSite:
    """Where a sweep would be trained."""

    engine: Engine
    device: str | None = None  # None: a GPU if there is one
    data_root: Path | None = None
    cohort: int | None = None  # most trials that train together; None: as the task says


class TaskCosts:
    """One task at a site; to be closed: what was loaded for measuring ends then."""

    def __init__(self, task: Task, site: TrainingSite) -> None:
        self.task, self.site = task, site
        self.cohort = site.cohort or task.search.cohort
        self._to_close = ExitStack()

    def close(self) -> None:
        """Remove what measuring has written."""
        self._to_close.close()

    def device(self, sweep: str = "") -> str:
        """Return the model of the device that times are of.

        It is the one that was named; else the one that trained the task last, in that sweep or in
        any; else the one here.
        """
        if self.site.device is None:
            with self.site.engine.connect() as connection:
                last = past_costs.last_device(connection, self.task, sweep)
            if last is not None:
                return last
        from trainers.runtime.devices import model_of  # loads torch

        return model_of(self.site.device)

    def step_times(self, methods: Sequence[str], device: str) -> dict[str, StepTime]:
        """Return how long the methods' steps take on such a device, by the log or as measured."""
        with self.site.engine.connect() as connection:
            known = fit(past_costs.read_spent(connection, self.task, device), f"log, {device}")
        return complete(known or self._measured(methods), methods)

    def recipe(self) -> str | None:
        """Return the identity of the task's teacher; None where the task has none."""
        fingerprint = self._probe.dataset.fingerprint
        return teacher_identity(self.task, fingerprint, TEACHER_SEED) if self.task.teacher else None

    def setup(
        self, recipe: str | None, to_calibrate: Sequence[StepTime], first_rung: int
    ) -> Forecast:
        """Return what is made before anything else: the teacher, unless it is there, calibrations.

        `recipe`: the teacher's identity, None where nobody needs one.
        """
        made = Forecast()
        if recipe is not None and not is_stored(self.site.engine, recipe):
            steps = self._probe.task.teacher_task().schedule.steps
            made = made.then(one_after_another(self._probe.teacher_step_seconds() * steps, steps))
        if to_calibrate:
            student = min(step_time.alone for step_time in to_calibrate) * first_rung
            gradients = sum(step_time.alone for step_time in to_calibrate) * CALIBRATION_BATCHES
            made = made.then(one_after_another(student + gradients, first_rung))
        return made

    def stored(self) -> Mapping[str, Any]:
        """Return what the store says besides: noise of seeds, sizes of trials."""
        with self.site.engine.connect() as connection:
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
        from trainers.runtime.devices import choose_device  # loads torch
        from trainers.training.probe import Probe  # loads torch

        device = choose_device(self.site.device)
        return self._to_close.enter_context(closing(Probe(self.task, self.site.data_root, device)))

    def _measured(self, methods: Sequence[str]) -> dict[str, StepTime]:
        """Measure the baseline, and the plainest method with a teacher where any method has one."""
        taught = self.task.teacher is not None and set(methods) - {BASELINE}
        names = (BASELINE, PLAIN) if taught else (BASELINE,)
        ending = self._probe.evaluation_seconds()
        found = fit((spent for name in names for spent in self._tried(name)), MEASURED_NOW)
        return {name: replace(step_time, ending=ending) for name, step_time in found.items()}

    def _tried(self, method: str) -> Iterator[Spent]:
        for size in sorted({1, self.cohort}):
            seconds = self._probe.step_seconds(method, size)
            yield Spent(method=method, cohort=size, steps=size, seconds=seconds)


def fit(spent: Iterable[Spent], source: str) -> dict[str, StepTime]:
    """Return the times that fit best: a student's step = own part + common part / cohort.

    Where a method was seen in cohorts of one size alone, the parts cannot be told apart, and all of
    it counts as the student's own.
    """
    ordered = sorted((each for each in spent if each.steps > 0), key=lambda each: each.method)
    return {
        method: _fitted(list(rows), source)
        for method, rows in groupby(ordered, key=lambda each: each.method)
    }


def _fitted(rows: Sequence[Spent], source: str) -> StepTime:
    """Return the regression of a step's seconds on 1 / cohort, by steps; neither part below 0."""
    total = sum(row.steps for row in rows)
    mean = sum(row.seconds for row in rows) / total
    share = sum(row.steps / row.cohort for row in rows) / total
    spread = sum(row.steps * (1 / row.cohort - share) ** 2 for row in rows)
    both = sum(row.steps * (1 / row.cohort - share) * (row.a_step - mean) for row in rows)
    common = min(max(both / spread, 0.0), mean / share) if spread > 0 else 0.0
    sizes = ", ".join(str(size) for size in sorted({row.cohort for row in rows}))
    return StepTime(
        own=mean - common * share,
        common=common,
        basis=f"{source}: {total:,} steps in cohorts of {sizes}",
        is_split=spread > 0,
    )


def complete(known: Mapping[str, StepTime], methods: Iterable[str]) -> dict[str, StepTime]:
    """Return the time of a step of each of the methods; SweeperError where none at all is known.

    A method that was not measured is like one that was, but for what its losses cost: the
    difference of the figures in search_spaces/measured.toml, in steps of the baseline.
    """
    if not known:
        raise SweeperError("no step was measured: there is nothing to estimate from")
    return {
        method: known[method] if method in known else _like(known, method) for method in methods
    }


def _like(known: Mapping[str, StepTime], method: str) -> StepTime:
    reference = _reference(known, method)
    step_time = known[reference]
    cost, its_cost = _cost(method), _cost(reference)
    if cost is None or its_cost is None:
        return replace(step_time, basis=f"taken as {reference}'s: it was never measured")
    unit = known[BASELINE].alone if BASELINE in known else step_time.alone / its_cost
    return replace(
        step_time,
        own=max(step_time.own + (cost - its_cost) * unit, 0.0),
        basis=f"{reference}'s, and {cost - its_cost:+.2f} steps of the baseline "
        "(search_spaces/measured.toml)",
    )


def _reference(known: Mapping[str, StepTime], method: str) -> str:
    """Return the known method that is most like it: with a teacher, or the baseline."""
    taught = sorted(known.keys() - {BASELINE}, key=lambda name: (name != PLAIN, name))
    if method == BASELINE or not taught:
        return BASELINE if BASELINE in known else taught[0]
    return taught[0]


def _cost(method: str) -> float | None:
    """Return the time of a method's step alone over the baseline's, as it was measured once."""
    figures = search_spaces.measured().get("methods", {}).get(method, {})
    return float(figures["cost"]) if "cost" in figures else None
