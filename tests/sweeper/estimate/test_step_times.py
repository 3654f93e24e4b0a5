"""How long a step takes, by the log, and of methods that were never measured."""

from __future__ import annotations

import pytest

from sweeper.core.errors import SweeperError
from sweeper.estimate.forecast import StepTime
from sweeper.estimate.step_times import complete, fit
from sweeper.store.past_costs import Spent


def spent(cohort: int, a_step: float, method: str = "kd", steps: int = 100) -> Spent:
    return Spent(method=method, cohort=cohort, steps=steps, seconds=a_step * steps)


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
