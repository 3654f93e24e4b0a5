"""Which trials may be compared: whole brackets, decided, within the budget."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.comparison.searches import (
    best_trials,
    ended_anchors,
    spaces_of,
    whole_brackets,
)
from tests.sweeper.comparison.finished import PLAN, SPACE, carry_out, noise, shuffled

UNDECIDED = {("kd", 9): ("undecided", 5)}


@pytest.mark.parametrize(("budget", "numbers"), [(None, 24), (24, 24), (16, 16), (15, 8), (7, 0)])
def test_a_budget_is_cut_to_whole_brackets(budget: int | None, numbers: int) -> None:
    trials = carry_out(noise(), ("kd",), brackets=3).trials
    assert list(whole_brackets(shuffled(trials), PLAN, budget)["number"]) == list(range(numbers))


def test_a_bracket_with_an_undecided_trial_is_left_out() -> None:
    trials = carry_out(noise(), brackets=2, ended=UNDECIDED).trials
    kept = whole_brackets(trials, PLAN).groupby("method")["number"].max()
    assert kept.to_dict() == {"baseline": 15, "kd": 7}


def test_the_best_is_the_highest_complete_value() -> None:
    trials = carry_out(noise(), repeats=2).trials
    for row in best_trials(shuffled(trials)).to_dict("records"):
        own = trials[(trials["method"] == row["method"]) & (trials["repeat"] == row["repeat"])]
        assert row["score"] == own.loc[own["state"] == "COMPLETE", "score"].max()


def test_a_tie_for_the_best_goes_to_the_lower_number() -> None:
    trials = carry_out(lambda *_: 40.0).trials
    assert list(best_trials(shuffled(trials))["number"]) == [0, 0]


def test_a_pruned_trial_is_never_best() -> None:
    trials = carry_out(lambda _, number, step: 50.0 - step / 10 - number).trials
    assert set(best_trials(trials)["score"]) == {50.0 - 9}


def test_no_complete_trial_has_no_best() -> None:
    ended = {("kd", number): ("diverged", 50) for number in range(16)}
    assert set(best_trials(carry_out(noise(), ended=ended).trials)["method"]) == {"baseline"}


def test_a_diverged_anchor_ends_at_0_and_a_failed_one_not_at_all() -> None:
    ended = {("kd", 1): ("diverged", 50), ("kd", 2): ("failed", 50), ("kd", 3): ("undecided", 50)}
    trials = carry_out(lambda *_: 40.0, ("kd",), ended=ended).trials
    final = ended_anchors(trials, PLAN).set_index("number")["final"]
    assert final.to_dict() == {0: 40.0, 1: 0.0}


def test_a_space_takes_the_ranges_that_its_calibration_gave_it() -> None:
    studies = carry_out(noise(), ("kd",)).studies
    multiplier = {"name": "multiplier", "low": 0.01, "high": 10.0, "log": True, "published": 1.0}
    space = {"method": "kd", "dimensions": [{**multiplier, "column": 8, "by_effect": True}]}
    studies = studies.assign(space=[space], calibration=[{"equal": 2.0}])
    assert spaces_of(studies)["kd", 1].dimensions[0].high == 20.0


@pytest.mark.parametrize("absent", [None, np.nan])
def test_a_space_without_calibration_is_as_defined(absent: float | None) -> None:
    studies = carry_out(noise(), ("kd",)).studies.assign(calibration=absent)
    assert spaces_of(studies) == {("kd", 1): SPACE}
