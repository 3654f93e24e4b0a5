"""Differences to the baseline where both have the same shared hyperparameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sweeper.comparison.shared_points import shared_differences, shared_pairs
from tests.sweeper.comparison.finished import PLAN, Finished, carry_out, noise, shuffled

GAIN = {"baseline": 0.0, "kd": 1.5, "rdd": -0.5}


def _pairs(found: Finished) -> pd.DataFrame:
    return shared_pairs(shuffled(found.rungs), PLAN)


def _shifted(method: str, number: int, step: int) -> float:
    return 40.0 + GAIN[method] + (number * 7 % 5) + step / 10


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_constant_gain_is_found_at_every_point(repeats: int) -> None:
    pairs = _pairs(carry_out(_shifted, ("kd", "baseline", "rdd"), repeats=repeats))
    found = shared_differences(pairs, PLAN).set_index("method")
    assert found["mean"].to_dict() == pytest.approx({"kd": 1.5, "rdd": -0.5})
    assert found["low"].to_dict() == pytest.approx({"kd": 1.5, "rdd": -0.5})
    assert found["n"].to_dict() == {"kd": 7 * repeats, "rdd": 7 * repeats}
    assert found["n_positive"].to_dict() == {"kd": 7 * repeats, "rdd": 0}
    assert found["left_out"].to_dict() == {"kd": 0, "rdd": 0}


def test_only_the_first_bracket_without_trial_0_is_shared() -> None:
    assert sorted(_pairs(carry_out(noise(), brackets=3))["number"]) == list(range(1, 8))


def test_each_point_is_compared_at_the_highest_rung_that_both_reached() -> None:
    found = carry_out(noise())
    reached = found.rungs.groupby(["method", "number"])["rung"].max()
    for row in _pairs(found).to_dict("records"):
        common = min(reached[method, row["number"]] for method in ("baseline", "kd"))
        assert (row["rung"], row["step"]) == (common, PLAN.rung_steps[common])
        at = found.rungs[(found.rungs["rung"] == common) & (found.rungs["number"] == row["number"])]
        values = at.set_index("method")["score"]
        assert row["difference"] == values["kd"] - values["baseline"]


def test_searches_are_compared_with_the_baselines_of_the_same_repeat() -> None:
    found = carry_out(_shifted, ("kd", "baseline"), repeats=3)
    only_first = found.rungs[(found.rungs["method"] == "baseline") | (found.rungs["repeat"] == 2)]
    raised = only_first.assign(score=only_first["score"] + only_first["repeat"] * 10.0)
    pairs = shared_pairs(raised, PLAN)
    assert set(pairs["repeat"]) == {2}
    assert pairs["difference"].to_numpy() == pytest.approx(1.5)


def test_points_that_one_of_the_two_lost_early_are_counted_as_left_out() -> None:
    ended = {("kd", 2): ("diverged", 5), ("baseline", 3): ("failed", 5), ("kd", 5): ("failed", 0)}
    pairs = _pairs(carry_out(noise(), ended=ended))
    [found] = shared_differences(pairs, PLAN).to_dict("records")
    assert (found["n"], found["left_out"]) == (4, 3)


def test_points_compared_at_the_end_are_counted() -> None:
    pairs = _pairs(carry_out(noise(), ended={("kd", 2): ("diverged", 50)}))
    [found] = shared_differences(pairs, PLAN).to_dict("records")
    assert found["n_final"] == (pairs["rung"] == 2).sum() >= 2


def test_the_interval_is_students_over_points() -> None:
    pairs = _pairs(carry_out(noise()))
    [found] = shared_differences(pairs, PLAN).to_dict("records")
    test = stats.ttest_1samp(pairs["difference"].to_numpy(), 0.0).confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx((test.low, test.high))


def test_a_single_point_has_no_interval() -> None:
    ended = {("kd", number): ("undecided", 5) for number in range(2, 8)}
    [found] = shared_differences(_pairs(carry_out(noise(), ended=ended)), PLAN).to_dict("records")
    assert found["n"] == 1
    assert np.isnan([found["low"], found["high"]]).all()


@pytest.mark.parametrize("methods", [("baseline",), ("kd",), ("kd", "rdd")])
def test_without_a_baseline_or_a_method_there_is_nothing_to_compare(
    methods: tuple[str, ...],
) -> None:
    pairs = _pairs(carry_out(noise(), methods))
    assert pairs.empty
    assert shared_differences(pairs, PLAN).empty
