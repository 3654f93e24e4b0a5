"""What is confirmed and what it can show, and how long methods take that were not measured."""

from __future__ import annotations

import pytest

from sweeper.core.errors import SweeperError
from sweeper.estimate.forecast import Repetition, StepTime, finished
from sweeper.estimate.simulation import forecast
from sweeper.estimate.step_times import complete, fit
from sweeper.search.seeds import Seeds
from sweeper.store.past_costs import Spent

PACES = {"baseline": StepTime(own=1.0), "kd": StepTime(own=1.0)}


def spent(cohort: int, a_step: float, method: str = "kd", steps: int = 100) -> Spent:
    return Spent(method=method, cohort=cohort, steps=steps, seconds=a_step * steps)


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


def test_two_sizes_of_cohorts_tell_the_own_part_from_the_common() -> None:
    step_time = fit([spent(1, 5.0), spent(4, 2.0)], "log")["kd"]
    assert (step_time.own, step_time.common) == (pytest.approx(1.0), pytest.approx(4.0))
    assert step_time.basis == "log: 200 steps in cohorts of 1, 4"


def test_one_size_of_cohorts_leaves_all_of_it_the_students_own() -> None:
    step_time = fit([spent(8, 2.0), spent(8, 4.0)], "log")["kd"]
    assert (step_time.own, step_time.common, step_time.is_split) == (3.0, 0.0, False)


@pytest.mark.parametrize("slower", [(2.0, 3.0), (9.0, 1.0)])
def test_no_part_is_below_nothing(slower: tuple[float, float]) -> None:
    alone, together = slower
    step_time = fit([spent(1, alone), spent(8, together)], "log")["kd"]
    assert step_time.own >= 0
    assert step_time.common >= 0


def test_an_unmeasured_method_is_like_kd_but_for_its_losses() -> None:
    known = {"baseline": StepTime(own=1.0), "kd": StepTime(own=1.2, common=0.5)}
    found = complete(known, ["baseline", "cirkd", "term:channel_kl"])
    assert found["baseline"] == known["baseline"]
    assert found["cirkd"].own == pytest.approx(1.2 + (4.29 - 1.85))
    assert found["cirkd"].common == 0.5
    assert "measured.toml" in found["cirkd"].basis
    assert found["term:channel_kl"].own == 1.2
    assert "never measured" in found["term:channel_kl"].basis


def test_a_method_with_a_teacher_can_be_taken_from_the_baseline_and_the_other_way_round() -> None:
    only_baseline = complete({"baseline": StepTime(own=2.0)}, ["kd"])["kd"]
    assert only_baseline.own == pytest.approx(2.0 + (1.85 - 0.996) * 2.0)
    only_kd = complete({"kd": StepTime(own=1.85)}, ["baseline"])["baseline"]
    assert only_kd.own == pytest.approx(0.996)


def test_nothing_measured_is_nothing_to_estimate_from() -> None:
    with pytest.raises(SweeperError, match="no step was measured"):
        complete({}, ["kd"])
