"""Best-so-far curves against a walk through every trial; the expected maximum against counting."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pytest

from sweeper.comparison.bracket_replay import AXES, Floats
from sweeper.comparison.curves import RESAMPLES, best_so_far, expected_maximum
from sweeper.search.brackets import BracketPlan
from tests.sweeper.comparison.finished import PLAN, Finished, carry_out, noise, shuffled

ENDED = {("kd", 1): ("diverged", 50), ("kd", 5): ("diverged", 4), ("kd", 9): ("failed", 20)}
DRAWS = list(itertools.product(range(3), repeat=3))
ALL_ANCHORS = BracketPlan(bracket=8, rung_steps=(10, 90), keep=(8, 2), anchors=8)


def _curves(found: Finished, plan: BracketPlan = PLAN, budget: int | None = None) -> pd.DataFrame:
    return best_so_far(shuffled(found.trials), shuffled(found.rungs, 1), plan, budget)


def _axis(curves: pd.DataFrame, method: str, axis: str) -> pd.DataFrame:
    chosen = (curves["method"] == method) & (curves["axis"] == axis)
    return curves[chosen].set_index("at")


def _walk(found: Finished, method: str, axis: str) -> Iterator[tuple[float, float]]:
    """Yield what has passed and the best so far, trial after trial and rung after rung."""
    trials = found.trials[found.trials["method"] == method].set_index("number")
    passed, best = 0.0, float("nan")
    for _, bracket in trials.groupby("bracket"):
        for start, stop in itertools.pairwise((0, *PLAN.rung_steps)):
            for row in bracket.itertuples():
                steps = max(min(row.trained_steps, stop) - start, 0)
                cost = steps if axis == "steps" else steps * len(method) / 10
                passed += float(stop == 90) if axis == "trials" else cost
                if stop == 90 and row.state == "COMPLETE":
                    best = max(best, row.score) if best == best else row.score
                yield passed, best


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("seed", range(3))
def test_the_observed_curve_is_the_walk_through_every_trial(axis: str, seed: int) -> None:
    found = carry_out(noise(seed), brackets=3, ended=ENDED)
    curves = _curves(found)
    for method in ("baseline", "kd"):
        walk = list(_walk(found, method, axis))
        for at, observed in _axis(curves, method, axis)["observed"].items():
            known = [best for passed, best in walk if passed <= at * (1 + 1e-9)]
            assert observed == pytest.approx(known[-1] if known else np.nan, nan_ok=True)


@pytest.mark.parametrize("axis", AXES)
def test_mean_and_band_are_those_of_all_draws_of_brackets(axis: str) -> None:
    found = carry_out(noise(), ("kd",), brackets=3, ended=ENDED)
    curve = _axis(_curves(found), "kd", axis)
    draws = np.array([_best_along(_drawn(found, draw), axis, curve.index) for draw in DRAWS])
    without = np.isnan(draws).mean(axis=0)
    assert curve["mean"][without > 0.15].isna().all()
    curve, ranked = curve[without == 0], np.sort(draws[:, without == 0], axis=0)
    assert len(curve) > 10
    spread = ranked.std(axis=0) / np.sqrt(RESAMPLES)
    assert (np.abs(ranked.mean(axis=0) - curve["mean"]) <= 5 * spread + 1e-9).all()
    for name, first, last in (("low", 0, 2), ("high", -3, -1)):  # 5 and 95 % of 27, about
        assert (ranked[first] <= curve[name]).all()
        assert (curve[name] <= ranked[last]).all()


def _drawn(found: Finished, draw: Sequence[int]) -> Finished:
    brackets = [found.trials[found.trials["bracket"] == index] for index in draw]
    drawn = [bracket.assign(bracket=place) for place, bracket in enumerate(brackets)]
    return dataclasses.replace(found, trials=pd.concat(drawn))


def _best_along(found: Finished, axis: str, points: Sequence[float]) -> Floats:
    """Return the best so far at each point, NaN where there is none."""
    passed, best = zip(*_walk(found, "kd", axis), strict=True)
    arrived = np.searchsorted(passed, np.asarray(points) * (1 + 1e-9), side="right")
    return np.array([np.nan, *best])[arrived]


@pytest.mark.parametrize("axis", AXES)
def test_curves_only_rise_and_stand_in_order(axis: str) -> None:
    curves = _curves(carry_out(noise(), brackets=4, repeats=2, ended=ENDED))
    for method in ("baseline", "kd"):
        curve = _axis(curves, method, axis)
        for name in ("observed", "mean", "low", "high"):
            assert (curve[name].dropna().diff().dropna() >= -1e-9).all()
        known = curve.dropna()
        assert (known["low"] <= known["mean"]).all()
        assert (known["mean"] <= known["high"]).all()


def test_one_bracket_alone_has_no_spread() -> None:
    curves = _curves(carry_out(noise(), brackets=1))
    for name in ("mean", "low", "high"):
        assert curves[name].tolist() == pytest.approx(curves["observed"].tolist(), nan_ok=True)


def test_all_methods_share_the_grid_and_end_where_they_have_spent_all() -> None:
    curves = _curves(carry_out(noise(), brackets=2))
    steps, seconds = (
        {method: _axis(curves, method, axis).index for method in ("baseline", "kd")}
        for axis in ("steps", "seconds")
    )
    assert steps["kd"].equals(steps["baseline"])
    assert len(seconds["kd"]) < len(seconds["baseline"])  # it costs 2 of 8 a step
    assert seconds["kd"].equals(seconds["baseline"][: len(seconds["kd"])])


def test_trials_are_counted_in_whole_numbers_up_to_the_budget() -> None:
    curves = _curves(carry_out(noise(), brackets=40))
    at = _axis(curves, "kd", "trials").index
    assert (at == at.to_numpy().round()).all()
    assert (at[0], at[-1], len(at)) == (1, 320, 100)


def test_a_budget_cuts_curves_to_its_prefix() -> None:
    found = carry_out(noise(), brackets=3)
    cut = _curves(found, budget=16)
    pd.testing.assert_frame_equal(cut, _curves(carry_out(noise(), brackets=2)))


def test_a_method_is_drawn_alike_whoever_else_is_compared() -> None:
    both, alone = carry_out(noise()), carry_out(noise(), ("kd",))
    drawn = _axis(_curves(both), "kd", "trials")
    pd.testing.assert_frame_equal(drawn, _axis(_curves(alone), "kd", "trials"))


def test_searches_of_a_method_are_averaged_and_drawn_from_together() -> None:
    found = carry_out(noise(), ("kd",), brackets=1, repeats=2)
    raised = found.trials["repeat"].eq(2) * 10.0
    found.trials["score"] += raised
    found.rungs["score"] += found.rungs["repeat"].eq(2) * 10.0
    last = _axis(_curves(found), "kd", "trials").iloc[-1]
    assert last["high"] - last["low"] == pytest.approx(10.0)
    assert last["observed"] == pytest.approx((last["high"] + last["low"]) / 2)


def test_no_complete_trial_gives_a_curve_without_values() -> None:
    ended = {("kd", number): ("diverged", 50) for number in range(16)}
    curve = _axis(_curves(carry_out(noise(), ended=ended)), "kd", "trials")
    assert len(curve) == 16
    assert curve[["observed", "mean", "low", "high"]].isna().all(axis=None)


def test_where_many_draws_have_nothing_yet_there_is_no_mean() -> None:
    """Only the second bracket has a complete trial, so that a quarter of the draws has none."""
    ended = {("kd", number): ("diverged", 50) for number in range(8)}
    curve = _axis(_curves(carry_out(noise(), ("kd",), ended=ended)), "kd", "trials")
    assert curve["observed"].notna().iloc[-1]
    assert curve["mean"].isna().all()


def test_nothing_decided_has_no_curve() -> None:
    ended = {("kd", number): ("undecided", 5) for number in range(8)}
    curves = _curves(carry_out(noise(), ("kd",), brackets=1, ended=ended))
    assert curves.empty
    assert "observed" in curves


def test_the_expected_maximum_is_the_mean_over_all_draws() -> None:
    found = carry_out(noise(), ("kd",), brackets=1, plan=ALL_ANCHORS)
    values = found.trials["score"].iloc[1:].tolist()
    expected = expected_maximum(found.trials, ALL_ANCHORS).set_index("n")
    assert list(expected.index) == list(range(1, 8))
    for n in (1, 2, 3, 4):
        draws = [max(draw) for draw in itertools.product(values, repeat=n)]
        subsets = [max(subset) for subset in itertools.combinations(values, n)]
        assert expected.loc[n, "approximate"] == pytest.approx(np.mean(draws))
        assert expected.loc[n, "approximate_unbiased"] == pytest.approx(np.mean(subsets))


def test_the_published_trial_is_no_draw_and_a_diverged_one_is_worth_nothing() -> None:
    value = lambda _, number, __: 90.0 if number == 0 else 40.0  # noqa: E731
    ended = {("kd", 3): ("diverged", 50), ("kd", 2): ("failed", 50)}
    found = carry_out(value, ("kd",), ended=ended)
    expected = expected_maximum(shuffled(found.trials), PLAN)
    assert expected["approximate"].tolist() == pytest.approx([20.0, 30.0])
    assert expected["approximate_unbiased"].tolist() == pytest.approx([20.0, 40.0])


def test_the_expected_maximum_is_averaged_over_searches() -> None:
    trials = carry_out(noise(), ("kd",), repeats=2).trials
    trials["score"] += trials["repeat"] * 10.0
    one, both = (expected_maximum(rows, PLAN) for rows in (trials[trials["repeat"] == 1], trials))
    assert (both["approximate"] - one["approximate"]).tolist() == pytest.approx([5.0] * 3)


def test_without_anchors_there_is_no_expected_maximum() -> None:
    plan = BracketPlan(bracket=8, rung_steps=(10, 30, 90), keep=(8, 4, 2), anchors=0)
    assert expected_maximum(carry_out(noise(), plan=plan).trials, plan).empty
