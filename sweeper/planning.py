"""What a plan comes to, as arithmetic: searches, the confirmation's trainings, disk, power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sweeper.declaring import BASELINE, num_searches
from sweeper.errors import PlanError
from sweeper.search.plan import Plan

CONFIGURATIONS = 2  # of a method are confirmed: published and tuned
SEEDS, BASELINE_SEEDS = 10, 30  # of a configuration, fresh ones
SEEDS_OF_A_REPEAT = 3  # where a method has several searches, and so has several tuned ones
SEED_SD = 0.4  # mIoU between seeds, where none was measured


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long a student of a method takes, in seconds on one worker."""

    own: float  # a step, for every member of a cohort
    common: float = 0.0  # a step, once for a cohort: images, the teacher's pass
    ending: float = 0.0  # evaluation at a rung, for every member
    basis: str = ""  # what this rests on

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

    pace: Pace
    plan: Plan
    brackets: range  # not planned yet
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
class Confirmation:
    """How often what a search found is trained again, with fresh seeds."""

    seeds: int = SEEDS
    baseline_seeds: int = BASELINE_SEEDS

    @classmethod
    def of(cls, repeats: int, seeds: int | None, baseline_seeds: int | None) -> Confirmation:
        """Return what is given, completed by what is usual; PlanError for less than a seed."""
        usual = (SEEDS, BASELINE_SEEDS) if repeats == 1 else (SEEDS_OF_A_REPEAT,) * 2
        given = (seeds, baseline_seeds)
        chosen = [u if g is None else g for g, u in zip(given, usual, strict=True)]
        for option, number in zip(("--seeds", "--baseline-seeds"), chosen, strict=True):
            if number < 2:
                raise PlanError(f"{option} {number}: at least 2, or no spread can be seen")
        return cls(seeds=chosen[0], baseline_seeds=chosen[1])

    def of_method(self, method: str) -> int:
        """Return the seeds of each of a method's configurations."""
        return self.baseline_seeds if method == BASELINE else self.seeds

    def searches(self, paces: Mapping[str, Pace], repeats: int, steps: int) -> list[Search]:
        """Return the trainings as searches of one rung, a group for every seed.

        All methods take their seeds from one list, from its start.
        """
        return [
            Search(
                pace=pace,
                plan=_whole(CONFIGURATIONS * num_searches(method, repeats), steps),
                brackets=range(1),
                group=seed,
            )
            for method, pace in paces.items()
            for seed in range(self.of_method(method))
        ]

    def detectable(self, num_methods: int, repeats: int, seed_sd: float) -> float:
        """Return the gain over the baseline, in mIoU, that is shown with 80 % power.

        By Welch's test and Holm's procedure over the methods. Between several searches of a method
        the noise of searching comes on top, which nobody knows beforehand: then it is a lower
        bound.
        """
        from sweeper.statistics.power import Design

        sds = (seed_sd, seed_sd)
        sizes = (self.baseline_seeds, self.seeds)
        if repeats > 1:  # the unit is a search: the mean of its confirmations
            sds = (seed_sd / self.baseline_seeds**0.5, seed_sd / self.seeds**0.5)
            sizes = (num_searches(BASELINE, repeats), repeats)
        return Design(sds=sds, sizes=sizes, num_comparisons=num_methods).detectable()


def _whole(trials: int, steps: int) -> Plan:
    """Return the plan of trials that all train to the end."""
    return Plan(bracket=trials, rung_steps=(steps,), keep=(trials,), anchors=0)
