"""What is confirmed, how often, and what it can show."""

from __future__ import annotations

import pytest

from sweeper.estimate.forecast import Repetition, StepTime, finished
from sweeper.estimate.simulation import forecast
from sweeper.search.seeds import Seeds

PACES = {"baseline": StepTime(own=1.0), "kd": StepTime(own=1.0)}


def test_equal_seeds_share_a_cohort_and_the_baseline_has_more_of_them() -> None:
    repetition = Repetition(seeds=Seeds(method=2, baseline=3))
    trainings = repetition.searches(PACES, steps=10)
    found = forecast(trainings, workers=1, cohort=8)
    assert (found.trials, finished(trainings)) == (2 * 3 + 2 * 2, 10)
    assert found.segments == 3  # one a seed: 4, 4 and 2 members


def test_published_is_confirmed_once_however_many_searches_there_are() -> None:
    repetition = Repetition.of(3, None, None)
    assert repetition.configurations("kd") == 1 + 3
    assert repetition.configurations("baseline") == 1 + 9


@pytest.mark.parametrize(
    ("repeats", "given", "seeds"),
    [(1, (None, None), (10, 30)), (3, (None, None), (3, 3)), (1, (5, None), (5, 30))],
)
def test_seeds_are_as_usual_unless_given(
    repeats: int, given: tuple[int | None, int | None], seeds: tuple[int, int]
) -> None:
    found = Repetition.of(repeats, *given).seeds
    assert (found.method, found.baseline) == seeds


def test_more_seeds_show_smaller_gains_and_more_methods_larger_ones() -> None:
    few, many = Repetition.of(1, 5, 5), Repetition.of(1, 20, 60)
    assert many.detectable(1, 0.4) < few.detectable(1, 0.4) < few.detectable(20, 0.4)


def test_a_gain_of_half_a_point_needs_about_the_usual_seeds() -> None:
    """Simulated with 27 methods, sd 0.4, 10 and 30 seeds: power 0.63 at 0.5 mIoU."""
    assert 0.5 < Repetition.of(1, None, None).detectable(27, 0.4) < 0.65


def test_with_several_searches_they_are_the_units() -> None:
    several = Repetition(seeds=Seeds(method=4, baseline=4), repeats=3)
    alike = Repetition(seeds=Seeds(method=3, baseline=9))
    assert several.detectable(5, 0.4) == pytest.approx(alike.detectable(5, 0.2))
