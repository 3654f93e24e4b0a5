"""The check of rungs on anchors: planted agreement, ties, lost trials, few methods."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from sweeper.comparison.rung_check import check_rungs, summarise_rungs
from sweeper.search.brackets import BracketPlan
from tests.sweeper.comparison.finished import PLAN, SPACE, Finished, carry_out, noise, shuffled

MANY = BracketPlan(bracket=16, rung_steps=(10, 90), keep=(16, 4), anchors=16)
TEN = tuple(f"m{index}" for index in range(10))


def _check(found: Finished, plan: BracketPlan = PLAN) -> pd.DataFrame:
    return check_rungs(shuffled(found.trials), shuffled(found.rungs, 1), plan)


def _bracket(early: list[float], final: list[float]) -> Finished:
    """One method whose anchors have these values at the first rung and at the end."""
    values = {10: early, 30: early, 90: final}
    padded = lambda _, n, step: values[step][n] if n < len(early) else 1.0  # noqa: E731
    return carry_out(padded, ("kd",), brackets=1)


@pytest.mark.parametrize(("sign", "tau"), [(1, 1.0), (-1, -1.0)])
def test_a_rung_that_ranks_as_the_end_or_in_reverse(sign: int, tau: float) -> None:
    value = lambda _, n, step: 40.0 + n if step == 90 else 40.0 + sign * n  # noqa: E731
    checks = _check(carry_out(value))
    assert list(checks["rung"]) == [0, 1, 0, 1]
    assert set(checks["tau"]) == {tau}
    assert set(checks["anchors"]) == {4}


def test_a_hand_made_bracket() -> None:
    # Of four anchors, the first rung would let two go on (4 of 8), the second one (2 of 8).
    checks = _check(_bracket(early=[30.0, 20.0, 25.0, 10.0], final=[50.0, 48.0, 53.0, 55.0]))
    by_rung = checks.set_index("rung")
    assert by_rung.loc[0, "regret"] == 55.0 - 53.0
    assert by_rung.loc[1, "regret"] == 55.0 - 50.0
    assert list(checks["regret_of_first"]) == [5.0, 5.0]
    # Of six pairs only (0, 1) and (1, 2) stand in the same order at the rung and at the end.
    assert by_rung.loc[0, "tau"] == pytest.approx((2 - 4) / 6)


def test_ties_at_the_rung_go_to_the_lower_number_and_lower_tau() -> None:
    checks = _check(_bracket(early=[20.0, 20.0, 20.0, 10.0], final=[50.0, 51.0, 52.0, 40.0]))
    assert checks["regret"].tolist() == [1.0, 2.0]
    assert checks["tau"].iloc[0] == pytest.approx(3 / math.sqrt(3 * 6))


def test_values_that_all_tie_say_nothing() -> None:
    checks = _check(_bracket(early=[20.0] * 4, final=[50.0] * 4))
    assert checks["tau"].isna().all()
    assert checks["rate_bias"].isna().all()


def test_survivors_do_not_count() -> None:
    found = carry_out(lambda _, n, step: float(n if n < 4 or step == 90 else 100 - n))
    assert set(_check(found)["tau"]) == {1.0}


def test_a_diverged_anchor_ranks_last_and_a_failed_one_is_left_out() -> None:
    ended = {("kd", 3): ("diverged", 50), ("kd", 0): ("failed", 50)}
    found = carry_out(lambda _, n, __: 40.0 + n, ("kd",), ended=ended)
    checks = _check(found)
    assert list(checks["anchors"]) == [3, 3]
    assert checks["tau"].iloc[0] == pytest.approx(-1 / 3)  # 1 < 2 < 3 at the rung, 3 < 1 < 2 later
    assert list(checks["regret"]) == [0.0, 42.0]  # the second rung lets none but the diverged go on


def test_anchors_that_diverge_before_a_rung_do_not_count_there() -> None:
    ended = {("kd", 3): ("diverged", 20)}
    checks = _check(carry_out(noise(), ("kd",), ended=ended))
    assert checks["anchors"].tolist() == [4, 3]


def test_a_single_anchor_has_no_tau() -> None:
    ended = {("kd", n): ("undecided", 50) for n in (1, 2, 3)}
    checks = _check(carry_out(noise(), ("kd",), ended=ended))
    assert checks["tau"].isna().all()
    assert list(checks["regret"]) == [0.0, 0.0]


def test_a_rung_that_is_unfair_to_high_learning_rates_shows_a_positive_bias() -> None:
    def value(_: str, number: int, step: int) -> float:
        rate = SPACE.point([(number * 0.618) % 1] * 10)["learning_rate"]
        unfair = 5 * math.log10(rate) if step == 10 else 0.0
        return float(np.random.default_rng(number).normal(40)) - unfair

    checks = _check(carry_out(value, ("kd",), brackets=1, plan=MANY), MANY)
    assert checks["rate_bias"].item() > 0.5


def test_regret_is_never_negative_and_no_less_for_the_first_alone() -> None:
    checks = _check(carry_out(noise(), TEN))
    assert (checks["regret"] >= 0).all()
    assert (checks["regret_of_first"] >= checks["regret"]).all()


def test_tau_agrees_with_counting_pairs() -> None:
    found = carry_out(noise(3), ("kd",), brackets=1, plan=MANY)
    wide = found.rungs.pivot(index="number", columns="rung", values="score")
    signs = [
        np.sign((wide[0][a] - wide[0][b]) * (wide[1][a] - wide[1][b]))
        for a in range(16)
        for b in range(a)
    ]
    assert _check(found, MANY)["tau"].item() == pytest.approx(np.mean(signs))


def test_methods_count_once_whatever_their_searches() -> None:
    found = carry_out(noise(), ("kd",), repeats=3)
    checks = pd.concat([_check(found), _check(carry_out(noise(), ("baseline",)))])
    means = checks.groupby(["rung", "method"])["tau"].mean().groupby("rung").mean()
    summary = summarise_rungs(checks)
    assert list(summary["methods"]) == [2, 2]
    assert summary["tau"].tolist() == pytest.approx(means.tolist())


@pytest.mark.parametrize(("noisy", "misleads"), [(True, True), (False, False)])
def test_only_a_rung_without_agreement_is_warned_of(noisy: bool, misleads: bool) -> None:
    random = noise()
    value = random if noisy else lambda method, n, step: random(method, n, 0) + step / 100
    summary = summarise_rungs(_check(carry_out(value, TEN)))
    assert set(summary["misleads"]) == {misleads}


def test_the_interval_is_the_bootstrap_of_the_mean_over_methods() -> None:
    checks = _check(carry_out(noise(), TEN))
    taus = checks.loc[checks["rung"] == 0, "tau"].to_numpy()
    draws = np.random.default_rng(5).choice(taus, (20_000, len(taus))).mean(axis=1)
    first = summarise_rungs(checks).iloc[0]
    assert first[["tau_low", "tau_high"]].tolist() == pytest.approx(
        np.quantile(draws, [0.025, 0.975]).tolist(), abs=0.03
    )
    assert first["tau_low"] < first["tau"] < first["tau_high"]


def test_the_same_seed_gives_the_same_interval() -> None:
    checks = _check(carry_out(noise(), TEN))
    pd.testing.assert_frame_equal(summarise_rungs(checks), summarise_rungs(shuffled(checks)))


def test_one_method_has_no_interval_and_no_warning() -> None:
    summary = summarise_rungs(_check(carry_out(noise(), ("kd",))))
    assert summary["tau_high"].isna().all()
    assert not summary["misleads"].any()


@pytest.mark.parametrize("anchors", [0, 4])
def test_without_anchors_or_ended_trials_there_is_nothing_to_check(anchors: int) -> None:
    plan = BracketPlan(bracket=8, rung_steps=(10, 30, 90), keep=(8, 4, 2), anchors=anchors)
    ended = {("kd", n): ("undecided", 0) for n in range(8)} if anchors else {}
    found = carry_out(noise(), ("kd",), brackets=1, ended=ended, plan=plan)
    checks = _check(found, plan)
    assert checks.empty
    assert summarise_rungs(checks).empty
