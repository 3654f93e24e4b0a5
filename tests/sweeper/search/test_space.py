"""The space of a method under a task: its dimensions, their ranges, their Sobol columns."""

from __future__ import annotations

import pytest

from sweeper.core.errors import PlanError
from sweeper.search.space import (
    Dimension,
    Space,
    SpaceKind,
    build_space,
    known_space,
    shared_ranges,
)
from trainers.tasks import Range, load_task

SHAPES = load_task("shapes")
KINDS: tuple[SpaceKind, ...] = ("primary", "full")


def multiplier(published: float = 1.0) -> Dimension:
    limits = {"low": 0.01, "high": 10.0, "log": True}
    return Dimension(name="multiplier", published=published, column=8, by_effect=True, **limits)


@pytest.mark.parametrize(
    ("method", "names", "columns"),
    [
        ("baseline", ["learning_rate", "weight_decay"], [0, 1]),
        ("kd", ["learning_rate", "weight_decay", "multiplier", "temperature"], [0, 1, 8, 9]),
    ],
)
def test_shared_dimensions_come_first_and_every_dimension_keeps_its_column(
    method: str, names: list[str], columns: list[int]
) -> None:
    dimensions = build_space(SHAPES, method).dimensions
    assert [dimension.name for dimension in dimensions] == names
    assert [dimension.column for dimension in dimensions] == columns


def test_the_primary_space_has_one_hyperparameter_of_the_methods_own_the_full_one_all() -> None:
    primary, full = (build_space(SHAPES, "rdd", kind).published for kind in KINDS)
    assert full.keys() - primary.keys() == {"temperature"}
    assert "threshold" in primary
    columns = {
        kind: {d.name: d.column for d in build_space(SHAPES, "rdd", kind).dimensions}
        for kind in KINDS
    }
    assert columns["primary"].items() <= columns["full"].items()


def test_a_tasks_own_range_stands_in_for_the_common_one() -> None:
    assert shared_ranges(SHAPES)["learning_rate"] == Range(low=0.0003, high=0.03, log=True)
    other = SHAPES.model_copy(update={"shared": {}})
    assert shared_ranges(other)["learning_rate"] == Range(low=0.002, high=0.2, log=True)


def test_a_range_of_what_is_not_shared_is_refused() -> None:
    other = SHAPES.model_copy(update={"shared": {"momentum": Range(low=0.1, high=0.9, log=False)}})
    with pytest.raises(PlanError, match=r"\[shared.momentum\] is no shared dimension"):
        shared_ranges(other)


def test_a_published_value_outside_its_range_is_refused_with_what_to_widen() -> None:
    schedule = SHAPES.schedule.model_copy(update={"learning_rate": 0.5})
    with pytest.raises(PlanError, match=r"learning_rate = 0.5 lies outside .*\[shared.learning_ra"):
        build_space(SHAPES.model_copy(update={"schedule": schedule}), "kd")


@pytest.mark.parametrize(("log", "middle"), [(True, 0.1), (False, 0.505)])
def test_a_dimension_runs_from_its_low_to_its_high_end(log: bool, middle: float) -> None:
    found = Dimension(name="x", low=0.01, high=1.0, log=log, published=0.1, column=0)
    assert [found.at(unit) for unit in (0.0, 0.5, 1.0)] == pytest.approx([0.01, middle, 1.0])
    assert found.low <= found.at(0.0) <= found.at(1.0) <= found.high


def test_a_point_takes_each_dimension_from_its_own_column() -> None:
    space = build_space(SHAPES, "kd").calibrated(1.0)
    row = [0.0] * 10
    row[9] = 1.0
    assert space.point(row)["temperature"] == pytest.approx(4.0)
    assert space.point(row)["multiplier"] == pytest.approx(0.01)


def test_a_range_by_effect_is_known_once_the_effect_is() -> None:
    space = build_space(SHAPES, "kd")
    assert space.awaits_calibration
    known = space.calibrated(3.0)
    assert not known.awaits_calibration
    [found] = [d for d in known.dimensions if d.name == "multiplier"]
    assert (found.low, found.high) == (0.03, 30.0)
    assert known_space(space.model_dump(mode="json"), {"equal": 3.0}) == known
    assert known_space(space.model_dump(mode="json"), None) == space
    assert len({space.hash, known.hash, space.calibrated(2.0).hash}) == 3


@pytest.mark.parametrize(
    ("equal", "low", "high"),
    [
        (1.0, 0.01, 10.0),
        (1000.0, 1.0, 10_000.0),
        (0.01, 0.0001, 1.0),
        (1e6, 100.0, 1e7),  # the published 1 is four decades below: two are added
        (1e-5, 1e-7, 0.01),
    ],
)
def test_a_range_by_effect_is_extended_to_the_published_value_by_two_decades_at_most(
    equal: float, low: float, high: float
) -> None:
    found = multiplier().calibrated(equal)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_space_holds_what_lies_in_all_its_ranges() -> None:
    space = Space(method="any", dimensions=(multiplier().calibrated(1.0),))
    assert [space.holds({"multiplier": value}) for value in (0.01, 10.0, 10.1)] == [
        True,
        True,
        False,
    ]
