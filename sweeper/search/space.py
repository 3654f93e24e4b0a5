"""A method's search space under a task: named dimensions, each with a fixed Sobol column."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

import search_spaces
from sweeper.core.errors import PlanError
from trainers.method_api.registry import read_space
from trainers.tasks import Range, Task
from trainers.tasks.identity import digest

EFFECT = Range(low=0.01, high=10.0, log=True)  # of a method's terms, relative to the task loss
REACH = 100.0  # how far, as a factor, a range by effect is extended to the published value
MULTIPLIER_COLUMN = 8  # shared dimensions take the columns below it, own dimensions those above

SpaceKind = Literal["primary", "full"]


class Dimension(BaseModel):
    """One hyperparameter: its range, its published value, its column in the Sobol sequence."""

    model_config = ConfigDict(frozen=True)

    name: str
    low: float
    high: float
    log: bool
    published: float
    column: int
    by_effect: bool = False  # low and high in units of the multiplier of equal effect, see below

    @property
    def limits(self) -> str:
        """Its range for people."""
        text = f"{self.low:g} to {self.high:g}"
        return f"{text} x equal effect, not measured yet" if self.by_effect else text

    def at(self, unit: float) -> float:
        """Return the value at a point of [0, 1]."""
        if not self.log:
            return self.low + unit * (self.high - self.low)
        value = math.exp(math.log(self.low) + unit * (math.log(self.high) - math.log(self.low)))
        return min(max(value, self.low), self.high)

    def calibrated(self, equal: float) -> Dimension:
        """Return the dimension in multipliers, given the one of equal gradient norms.

        It is extended to the published value, by at most two decades.
        """
        low, high = self.low * equal, self.high * equal
        return self.model_copy(
            update={
                "low": min(low, max(self.published, low / REACH)),
                "high": max(high, min(self.published, high * REACH)),
                "by_effect": False,
            }
        )


class Space(BaseModel):
    """The dimensions that one method is tuned over, shared ones first."""

    model_config = ConfigDict(frozen=True)

    method: str
    dimensions: tuple[Dimension, ...]

    @property
    def published(self) -> dict[str, float]:
        """The values of trial 0: published weights under the task's recipe."""
        return {dimension.name: dimension.published for dimension in self.dimensions}

    def point(self, row: Mapping[int, float] | Any) -> dict[str, float]:
        """Return the parameters at one row of the Sobol sequence."""
        return {d.name: d.at(float(row[d.column])) for d in self.dimensions}

    @property
    def hash(self) -> str:
        """The sha256 of everything above."""
        return digest(self.model_dump())

    @property
    def awaits_calibration(self) -> bool:
        """Whether a range is known only once the method's effect is measured."""
        return any(dimension.by_effect for dimension in self.dimensions)

    def calibrated(self, equal: float) -> Space:
        """Return the space with its ranges by effect; `equal` is the multiplier of equal effect."""
        known = tuple(d.calibrated(equal) if d.by_effect else d for d in self.dimensions)
        return self.model_copy(update={"dimensions": known})

    def holds(self, params: Mapping[str, float]) -> bool:
        """Whether every value lies in its range: a published one may not, as trial 0 only."""
        return all(d.low <= params[d.name] <= d.high for d in self.dimensions)


def known_space(space: Mapping[str, Any], calibration: Mapping[str, Any] | None) -> Space:
    """Return a stored space with the ranges that the stored calibration, if any, has given it."""
    defined = Space.model_validate(space)
    return defined if calibration is None else defined.calibrated(float(calibration["equal"]))


def build_space(task: Task, method: str, kind: SpaceKind = "primary") -> Space:
    """Return the space of a method under a task; PlanError where a published value lies outside."""
    dimensions = (*_shared(task), *_multiplier(method), *_own(method, kind))
    for dimension in dimensions:
        if not (dimension.by_effect or dimension.low <= dimension.published <= dimension.high):
            raise PlanError(
                f"method {method}, task {task.name}: the published {dimension.name} = "
                f"{dimension.published} lies outside [{dimension.low}, {dimension.high}]; "
                f"widen the range in its TOML file, or in the task under [shared.{dimension.name}]"
            )
    return Space(method=method, dimensions=dimensions)


def shared_ranges(task: Task) -> dict[str, Range]:
    """Return the ranges of the shared dimensions: the common ones, or the task's own."""
    common = tomllib.loads(search_spaces.shared_file().read_text())
    unknown = task.shared.keys() - common.keys()
    if unknown:
        raise PlanError(
            f"task {task.name}: [shared.{min(unknown)}] is no shared dimension; "
            f"there are {', '.join(common)}"
        )
    return {name: task.shared.get(name, Range(**table)) for name, table in common.items()}


def _shared(task: Task) -> list[Dimension]:
    recipe = task.schedule.model_dump()
    return [
        _dimension(name, limits, published=recipe[name], column=column)
        for column, (name, limits) in enumerate(shared_ranges(task).items())
    ]


def _multiplier(method: str) -> list[Dimension]:
    if not read_space(method).terms:
        return []
    by_effect = _dimension("multiplier", EFFECT, published=1.0, column=MULTIPLIER_COLUMN)
    return [by_effect.model_copy(update={"by_effect": True})]


def _own(method: str, kind: SpaceKind) -> list[Dimension]:
    space = read_space(method)
    columns = {name: MULTIPLIER_COLUMN + 1 + place for place, name in enumerate(space.own)}
    chosen = [name for name in space.own if kind == "full" or name == space.primary]
    return [
        _dimension(name, space.own[name], float(space.published[name]), columns[name])
        for name in chosen
    ]


def _dimension(name: str, limits: Range, published: float, column: int) -> Dimension:
    return Dimension(name=name, **limits.model_dump(), published=published, column=column)
