"""Still improving, and best values at an edge, on searches whose best is planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sweeper.comparison.flags import edges, improvements
from sweeper.search.space import Dimension, Space
from tests.sweeper.comparison.finished import PLAN, SPACE, Finished, carry_out, noise, shuffled

LATE = 20  # a number in the second half of four brackets


def _improvements(found: Finished, budget: int = 32, **sds: float) -> pd.DataFrame:
    rows = improvements(shuffled(found.trials), found.studies, PLAN, budget, sds, default_sd=0.4)
    return rows.set_index(["method", "repeat"])


def _gaining(gain: float) -> Finished:
    return carry_out(lambda _, n, __: 50.0 + gain * (n == LATE), brackets=4)


@pytest.mark.parametrize(("gain", "improving"), [(0.0, False), (0.39, False), (0.41, True)])
def test_a_search_improves_while_half_its_budget_gained_more_than_an_error(
    gain: float, improving: bool
) -> None:
    found = _improvements(_gaining(gain)).loc[("kd", 1)]
    assert found["gain"] == pytest.approx(gain)
    assert found["still_improving"] == improving
    assert (found["half_budget"], found["budget"], found["dimensions"]) == (16, 32, 2)


def test_the_error_is_the_methods_own_where_its_confirmations_are_known() -> None:
    found = _improvements(_gaining(0.5), kd=0.6)
    assert found["still_improving"].to_dict() == {("baseline", 1): True, ("kd", 1): False}
    assert found["standard_error"].to_dict() == {("baseline", 1): 0.4, ("kd", 1): 0.6}


def test_bests_are_those_within_the_prefix() -> None:
    trials = carry_out(noise(), brackets=4, repeats=2)
    found = _improvements(trials, budget=24)
    assert set(found["half_budget"]) == {8}
    for key, row in found.iterrows():
        own = trials.trials[
            (trials.trials["method"] == key[0])
            & (trials.trials["repeat"] == key[1])
            & (trials.trials["state"] == "COMPLETE")
        ]
        assert row["best_at_half"] == own.loc[own["number"] < 8, "score"].max()
        assert row["best_at_full"] == own.loc[own["number"] < 24, "score"].max()


@pytest.mark.parametrize(
    ("brackets", "budget", "ended"),
    [
        (1, 8, {}),
        (2, 32, {}),
        (2, 16, {("kd", 10): ("undecided", 5)}),
        (2, 16, {("kd", number): ("diverged", 50) for number in range(16)}),
    ],
    ids=["no half", "too few trials", "undecided", "none complete"],
)
def test_what_is_not_known_does_not_improve(
    brackets: int, budget: int, ended: dict[tuple[str, int], tuple[str, int]]
) -> None:
    found = _improvements(carry_out(noise(), brackets=brackets, ended=ended), budget)
    assert np.isnan(found.loc[("kd", 1), "gain"])
    assert not found.loc[("kd", 1), "still_improving"]


def _edges(params: dict[str, float], space: Space = SPACE) -> list[dict[str, Any]]:
    """Return the edges of a search whose best trial, number 3, has these parameters."""
    found = carry_out(lambda _, n, __: 60.0 if n == 3 else 40.0, ("kd",))
    is_best = found.trials["number"] == 3
    found.trials["params"] = found.trials["params"].where(~is_best, [params] * len(is_best))
    studies = found.studies.assign(space=[space.model_dump(mode="json")])
    return edges(shuffled(found.trials), studies, PLAN).to_dict("records")


@pytest.mark.parametrize(
    ("rate", "side"),
    [(0.001, "low"), (0.0014, "low"), (0.0015, ""), (0.05, ""), (0.7, ""), (0.72, "high")],
)
def test_an_edge_is_the_outer_twentieth_in_the_logarithm(rate: float, side: str) -> None:
    found = _edges({"learning_rate": rate, "threshold": 0.5})
    assert [edge["side"] for edge in found] == ([side] if side else [])


@pytest.mark.parametrize(
    ("rate", "wider"), [(0.0011, (0.001 / 10**0.75, 1.0)), (0.9, (0.001, 10**0.75))]
)
def test_a_range_is_widened_by_a_quarter_on_the_side_of_the_best(
    rate: float, wider: tuple[float, float]
) -> None:
    [edge] = _edges({"learning_rate": rate, "threshold": 0.5})
    assert (edge["wider_low"], edge["wider_high"]) == pytest.approx(wider)
    assert (edge["hyperparameter"], edge["value"]) == ("learning_rate", rate)
    assert (edge["method"], edge["repeat"], edge["number"]) == ("kd", 1, 3)


@pytest.mark.parametrize(("share", "edge"), [(0.03, False), (0.97, False)])
def test_a_share_from_0_to_1_has_no_edge(share: float, edge: bool) -> None:
    assert bool(_edges({"learning_rate": 0.05, "threshold": share})) == edge


def _linear(low: float, high: float) -> Space:
    dimension = Dimension(name="own", low=low, high=high, log=False, published=high, column=9)
    return Space(method="kd", dimensions=(dimension,))


@pytest.mark.parametrize(
    ("low", "high", "value", "wider"),
    [
        (0.5, 0.9, 0.89, (0.5, 1.0)),
        (0.5, 0.9, 0.51, (0.4, 0.9)),
        (0.1, 0.9, 0.11, (0.0, 0.9)),
        (0.0, 8.0, 7.9, (0.0, 10.0)),
        (-4.0, 4.0, -3.9, (-6.0, 4.0)),
    ],
)
def test_a_linear_range_is_widened_within_what_it_may_be(
    low: float, high: float, value: float, wider: tuple[float, float]
) -> None:
    [edge] = _edges({"own": value}, _linear(low, high))
    assert (edge["wider_low"], edge["wider_high"]) == pytest.approx(wider)


def test_a_published_value_beyond_its_range_is_an_edge_and_lies_within_the_wider_one() -> None:
    [edge] = _edges({"learning_rate": 30.0, "threshold": 0.5})
    assert edge["side"] == "high"
    assert edge["wider_high"] == pytest.approx(30.0 * 10**0.75)


def test_only_the_best_within_the_budget_is_looked_at() -> None:
    found = carry_out(lambda _, n, __: float(n), ("kd",), brackets=3)
    at_edge = {"learning_rate": 0.999, "threshold": 0.5}
    late = found.trials["number"] >= 16
    found.trials["params"] = found.trials["params"].where(~late, [at_edge] * len(late))
    assert len(edges(found.trials, found.studies, PLAN)) == 1
    assert at_edge["learning_rate"] not in set(
        edges(found.trials, found.studies, PLAN, budget=16)["value"]
    )


def test_a_search_without_a_complete_trial_has_no_edge() -> None:
    ended = {("kd", number): ("failed", 50) for number in range(16)}
    found = carry_out(noise(), ("kd",), ended=ended)
    assert edges(found.trials, found.studies, PLAN).empty
