"""What a plan comes to, as arithmetic: searches, the confirmation's trainings, disk, power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sweeper.core.constants import BASELINE, num_searches
from sweeper.search.brackets import BracketPlan
from sweeper.search.seeds import SEEDS_OF_A_SEARCH, Seeds


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """How long a student of a method takes, in seconds on one worker."""

    own: float  # a step, for every member of a cohort
    common: float = 0.0  # a step, once for a cohort: images, the teacher's pass
    ending: float = 0.0  # evaluation at a rung, for every member
    basis: str = ""  # what this rests on
    is_split: bool = True  # False: seen in cohorts of one size alone, all of it counts as own

    @property
    def alone(self) -> float:
        """Seconds of a step that trains nobody else."""
        return self.own + self.common


class Standing(NamedTuple):
    """Where a trial of a search stands; those that stand alike are alike to a plan."""

    is_judged: bool  # False: an anchor, which goes on whatever its value; lower numbers, so first
    step: int
    rung: int  # it is to reach next


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search as far as it is still to be trained."""

    step_time: StepTime
    plan: BracketPlan
    brackets: range = range(1)  # not planned yet
    group: int = 1  # trials share cohorts within it alone: they have one seed
    open_bracket: int = 0  # index of the bracket that `open` belongs to
    open: Mapping[Standing, int] | None = None  # undecided trials of a bracket under way


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What it takes to train some searches."""

    trials: int = 0
    steps: int = 0
    segments: int = 0
    device_seconds: float = 0.0
    wall_seconds: float = 0.0
    side_by_side: int = 0  # trials in training at one moment, at most

    def then(self, other: Forecast) -> Forecast:
        """Return the forecast of both, one after the other."""
        return Forecast(
            trials=self.trials + other.trials,
            steps=self.steps + other.steps,
            segments=self.segments + other.segments,
            device_seconds=self.device_seconds + other.device_seconds,
            wall_seconds=self.wall_seconds + other.wall_seconds,
            side_by_side=max(self.side_by_side, other.side_by_side),
        )


def one_after_another(seconds: float, steps: int) -> Forecast:
    """Return the forecast of one training on one worker, while the others wait."""
    return Forecast(
        trials=1,
        steps=steps,
        segments=1,
        device_seconds=seconds,
        wall_seconds=seconds,
        side_by_side=1,
    )


def width(searches: Sequence[Search]) -> int:
    """Return how many trials can train side by side at most: more workers than that must wait."""
    return sum(
        max(search.plan.bracket if search.brackets else 0, sum((search.open or {}).values()))
        for search in searches
    )


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """How often what the searches found is trained again, with fresh seeds."""

    seeds: Seeds
    repeats: int = 1

    @classmethod
    def of(cls, repeats: int, seeds: int | None, baseline_seeds: int | None) -> Repetition:
        """Return what is given, completed by what is usual."""
        usual = Seeds() if repeats == 1 else SEEDS_OF_A_SEARCH
        chosen = Seeds(
            method=usual.method if seeds is None else seeds,
            baseline=usual.baseline if baseline_seeds is None else baseline_seeds,
        )
        return cls(seeds=chosen, repeats=repeats)

    def searches(self, step_times: Mapping[str, StepTime], steps: int) -> list[Search]:
        """Return the trainings, seed by seed: for each seed a search without judgement a method.

        All methods take their seeds from the start of one list, and equal seeds share cohorts.
        """
        return [
            Search(step_time=step_time, plan=_whole(self.configurations(method), steps), group=seed)
            for seed in range(max(self.seeds.of(method) for method in step_times))
            for method, step_time in step_times.items()
            if seed < self.seeds.of(method)
        ]

    def configurations(self, method: str) -> int:
        """Return how many of a method are confirmed: what was published, and a best a search."""
        return 1 + num_searches(method, self.repeats)

    def detectable(self, num_methods: int, seed_sd: float) -> float:
        """Return the gain over the baseline, in mIoU, that is shown with 80 % power.

        By Welch's test, at the level of the first step of Holm's procedure over the methods. With
        several searches a method the noise of searching comes on top: then it is a lower bound.
        """
        from sweeper.statistics.power import Design  # loads scipy

        sizes = (self.seeds.baseline, self.seeds.method)
        sds = (seed_sd, seed_sd)
        if self.repeats > 1:  # the unit is a search: the mean of its confirmations
            sds = (seed_sd / sizes[0] ** 0.5, seed_sd / sizes[1] ** 0.5)
            sizes = (num_searches(BASELINE, self.repeats), self.repeats)
        return Design(sds=sds, sizes=sizes, num_comparisons=num_methods).detectable()


def finished(searches: Sequence[Search]) -> int:
    """Return how many trials come to their end: of these the weights are kept."""
    of_brackets = sum(s.plan.width(index) for s in searches for index in s.brackets)
    return of_brackets + sum(_finished_of_open(search) for search in searches)


def _finished_of_open(search: Search) -> int:
    found = search.open or {}
    judged = sum(number for standing, number in found.items() if standing.is_judged)
    places = search.plan.places(search.open_bracket, len(search.plan.keep) - 1) if judged else 0
    return sum(found.values()) - judged + min(judged, places)


def _whole(trials: int, steps: int) -> BracketPlan:
    """Return the plan of trials that all train to the end."""
    return BracketPlan(bracket=trials, rung_steps=(steps,), keep=(trials,), anchors=0)
