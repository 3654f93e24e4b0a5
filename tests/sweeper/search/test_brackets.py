"""The plan in integers: what a bracket may train never depends on its values."""

from __future__ import annotations

import pytest

from sweeper.core.errors import PlanError
from sweeper.search.brackets import BracketPlan

DEFAULT = BracketPlan(bracket=16, rung_steps=(4444, 13333, 40000), keep=(16, 6, 2), anchors=8)


def test_the_first_bracket_has_eight_anchors_and_8_3_1_judged_trials() -> None:
    assert [DEFAULT.places(0, rung) for rung in range(3)] == [8, 3, 1]


def test_a_later_bracket_keeps_16_6_2() -> None:
    assert [DEFAULT.places(1, rung) for rung in range(3)] == [16, 6, 2]


def test_planned_steps_are_rung_by_rung() -> None:
    assert DEFAULT.planned_steps(1) == 16 * 4444 + 6 * (13333 - 4444) + 2 * (40000 - 13333)
    judged = 8 * 4444 + 3 * (13333 - 4444) + 1 * (40000 - 13333)
    assert DEFAULT.planned_steps(0) == 8 * 40000 + judged


@pytest.mark.parametrize("budget", [16, 64, 128])
def test_a_multiple_of_the_bracket_is_a_budget(budget: int) -> None:
    DEFAULT.check_budget(budget)
    brackets = range(budget // DEFAULT.bracket)
    assert DEFAULT.allowed_steps(budget) == sum(map(DEFAULT.planned_steps, brackets))


@pytest.mark.parametrize(
    ("budget", "remedy"), [(20, "use 16 or 32"), (1, "use 16"), (0, "use 16"), (-3, "use 16")]
)
def test_another_budget_is_refused_with_the_nearest(budget: int, remedy: str) -> None:
    with pytest.raises(PlanError, match=remedy):
        DEFAULT.check_budget(budget)


def test_the_best_go_on_and_ties_go_to_the_lower_number() -> None:
    values = {16: 1.0, 17: 3.0, 18: 3.0, 19: 2.0, 20: 2.0, 21: 2.0, 22: 2.0, 23: 0.5}
    assert DEFAULT.promoted(1, 0, values) == [17, 18, 19, 20, 21, 22]


def test_fewer_finite_values_than_places_all_go_on() -> None:
    assert DEFAULT.promoted(1, 1, {16: 1.0}) == [16]
