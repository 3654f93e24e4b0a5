"""A method's search space under a task: named dimensions, each with a fixed Sobol column."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

import search_spaces
from sweeper.errors import PlanError
from trainers.identity import digest
from trainers.methods import read_space
from trainers.tasks import Range, Task

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

    def at(self, unit: float) -> float:
        """Return the value at a point of [0, 1]."""
        if not self.log:
            return self.low + unit * (self.high - self.low)
        value = math.exp(math.log(self.low) + unit * (math.log(self.high) - math.log(self.low)))
        return min(max(value, self.low), self.high)


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


def build_space(task: Task, method: str, kind: SpaceKind = "primary") -> Space:
    """Return the space of a method under a task; PlanError where a published value lies outside."""
    dimensions = (*_shared(task), *_multiplier(method), *_own(method, kind))
    for dimension in dimensions:
        if not dimension.low <= dimension.published <= dimension.high:
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
    limits = read_space(method).multiplier
    if limits is None:
        return []
    return [_dimension("multiplier", limits, published=1.0, column=MULTIPLIER_COLUMN)]


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
