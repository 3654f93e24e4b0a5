"""What searches cost, by ledger and by reference seconds, and their trials' hyperparameters."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.comparison.search_tables import SLICE_COLUMNS, search_costs, slices
from tests.sweeper.comparison.finished import SPACE, carry_out, noise, shuffled

UNFINISHED = {("kd", 1): ("diverged", 50), ("kd", 9): ("failed", 5), ("kd", 12): ("undecided", 0)}

ENDED = {("kd", 1): ("diverged", 50), ("kd", 9): ("failed", 5)}


def test_the_ledger_is_summed_over_all_searches_of_a_method() -> None:
    trials = carry_out(noise(), repeats=2, ended=ENDED).trials
    costs = search_costs(shuffled(trials)).set_index("method")
    own = trials[trials["method"] == "kd"]
    assert (costs.loc["kd", "searches"], costs.loc["kd", "trials"]) == (2, 32)
    for column in ("trained_steps", "wasted_steps", "device_seconds", "wasted_seconds"):
        assert costs.loc["kd", column] == pytest.approx(own[column].sum())


def test_without_reference_seconds_are_those_measured() -> None:
    costs = search_costs(carry_out(noise()).trials).set_index("method")
    assert costs["per_step"].to_dict() == pytest.approx({"baseline": 0.8, "kd": 0.2})
    assert costs["seconds"].tolist() == pytest.approx(costs["device_seconds"].tolist())
    assert set(costs["basis"]) == {"measured"}
    assert costs["reference_per_step"].isna().all()


def test_reference_seconds_come_first_where_they_are_given() -> None:
    costs = search_costs(carry_out(noise()).trials, {"kd": 0.5, "other": 9.0}).set_index("method")
    assert costs["basis"].to_dict() == {"baseline": "measured", "kd": "reference"}
    assert costs.loc["kd", "seconds"] == pytest.approx(0.5 * costs.loc["kd", "trained_steps"])
    assert costs.loc["kd", "measured_per_step"] == pytest.approx(0.2)


@pytest.mark.parametrize(("reference", "seconds"), [({}, np.nan), ({"kd": 0.5}, 0.0)])
def test_nothing_trained_costs_nothing(reference: dict[str, float], seconds: float) -> None:
    ended = {("kd", number): ("undecided", 0) for number in range(8)}
    trials = carry_out(noise(), ("kd",), brackets=1, ended=ended).trials
    [cost] = search_costs(trials, reference).to_dict("records")
    assert cost["trained_steps"] == 0
    assert cost["seconds"] == pytest.approx(seconds, nan_ok=True)


def test_no_trial_has_no_cost() -> None:
    assert search_costs(carry_out(noise()).trials.iloc[:0]).empty


def test_every_trial_has_a_point_along_each_hyperparameter() -> None:
    found = carry_out(noise(), repeats=2, ended=UNFINISHED)
    points = slices(shuffled(found.trials), shuffled(found.studies))
    assert len(points) == 2 * len(found.trials)
    params = found.trials.set_index(["method", "repeat", "number"])["params"]
    for row in points.to_dict("records"):
        key = (row["method"], row["repeat"], row["number"])
        assert row["value"] == params[key][row["hyperparameter"]]


def test_states_and_values_are_the_trials() -> None:
    found = carry_out(noise(), ("kd",), ended=UNFINISHED)
    points = slices(found.trials, found.studies)
    rates = points[points["hyperparameter"] == "learning_rate"].set_index("number")
    assert rates["state"].tolist() == found.trials["state"].tolist()
    assert np.isnan(rates.loc[1, "score"])
    assert rates.loc[1, "diverged"]


def test_the_published_value_is_marked() -> None:
    found = carry_out(noise())
    points = slices(found.trials, found.studies)
    marked = points[points["is_published"]]
    assert set(marked["number"]) == {0}
    assert (marked["value"] == marked["published"]).all()
    assert set(points["published"]) == set(SPACE.published.values())


@pytest.mark.parametrize("dimension", SPACE.dimensions, ids=lambda dimension: dimension.name)
def test_ranges_stand_beside_the_points(dimension: object) -> None:
    found = carry_out(noise(), ("kd",))
    points = slices(found.trials, found.studies)
    name, low, high, log = (getattr(dimension, key) for key in ("name", "low", "high", "log"))
    own = points[points["hyperparameter"] == name][["low", "high", "log"]].drop_duplicates()
    assert own.to_numpy().tolist() == [[low, high, log]]


def test_no_trial_has_no_point() -> None:
    found = carry_out(noise(), ("kd",))
    points = slices(found.trials.iloc[:0], found.studies)
    assert points.empty
    assert list(points) == SLICE_COLUMNS
