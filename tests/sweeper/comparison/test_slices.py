"""Every trial's point along each hyperparameter, as one tidy data frame."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.comparison.search_tables import SLICE_COLUMNS, slices
from tests.sweeper.comparison.finished import SPACE, carry_out, noise, shuffled

ENDED = {("kd", 1): ("diverged", 50), ("kd", 9): ("failed", 5), ("kd", 12): ("undecided", 0)}


def test_every_trial_has_a_point_along_each_hyperparameter() -> None:
    found = carry_out(noise(), repeats=2, ended=ENDED)
    points = slices(shuffled(found.trials), shuffled(found.studies))
    assert len(points) == 2 * len(found.trials)
    params = found.trials.set_index(["method", "repeat", "number"])["params"]
    for row in points.to_dict("records"):
        key = (row["method"], row["repeat"], row["number"])
        assert row["value"] == params[key][row["hyperparameter"]]


def test_states_and_values_are_the_trials() -> None:
    found = carry_out(noise(), ("kd",), ended=ENDED)
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
