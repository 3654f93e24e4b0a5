"""Importances where one hyperparameter alone decides, or nothing does, or too little is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweeper.comparison.importances import importances, importances_of
from sweeper.search.brackets import BracketPlan
from sweeper.search.space import Space
from tests.sweeper.comparison.finished import PLAN, SPACE, carry_out, noise, shuffled

ALL = BracketPlan(bracket=16, rung_steps=(10, 90), keep=(16, 16), anchors=16)


def _points(count: int, seed: int = 0) -> list[dict[str, float]]:
    units = np.random.default_rng(seed).random((count, 10))
    return [SPACE.point(row) for row in units]


def _values(params: list[dict[str, float]], name: str) -> list[float]:
    centre = {"learning_rate": math.log(0.1), "threshold": 0.7}[name]
    at = {"learning_rate": lambda p: math.log(p["learning_rate"]), "threshold": lambda p: p[name]}
    return [50.0 - abs(at[name](point) - centre) for point in params]


@pytest.mark.parametrize("name", ["learning_rate", "threshold"])
def test_what_decides_alone_has_most_of_the_importance(name: str) -> None:
    params = _points(60)
    found = importances_of(SPACE, params, _values(params, name))
    assert found is not None
    assert found[name] > 0.7
    assert sum(found.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("count", "known"), [(9, False), (10, True)])
def test_fewer_than_ten_trials_give_none(count: int, known: bool) -> None:
    params = _points(count)
    found = importances_of(SPACE, params, _values(params, "threshold"))
    assert (found is not None) == known


@pytest.mark.parametrize("values", [[40.0] * 12, [50.0] * 4 + [40.0] * 8])
def test_values_that_tie_give_none(values: list[float]) -> None:
    assert importances_of(SPACE, _points(12), values) is None


def test_a_single_hyperparameter_has_all_the_importance() -> None:
    space = Space(method="any", dimensions=SPACE.dimensions[:1])
    params = [{"learning_rate": point["learning_rate"]} for point in _points(12)]
    assert importances_of(space, params, _values(params, "learning_rate")) == {"learning_rate": 1.0}


def test_a_table_has_a_row_for_every_hyperparameter_of_every_search() -> None:
    found = carry_out(noise(), repeats=2, plan=ALL)
    table = importances(shuffled(found.trials), found.studies)
    keys = table[["method", "repeat", "hyperparameter"]].itertuples(index=False, name=None)
    names = [(m, r, h) for m in ("baseline", "kd") for r in (1, 2) for h in SPACE.published]
    assert list(keys) == names
    sums = table.groupby(["method", "repeat"])["importance"].sum()
    assert sums.tolist() == pytest.approx([1] * 4)


def test_only_complete_trials_within_the_ranges_count() -> None:
    found = carry_out(noise(), ("kd",), ended={("kd", 3): ("diverged", 50)})
    complete = int((found.trials["state"] == "COMPLETE").sum())
    beyond = [{"learning_rate": 5.0, "threshold": 0.5}] * len(found.trials)
    found.trials["params"] = found.trials["params"].where(found.trials["number"] != 0, beyond)
    table = importances(found.trials, found.studies)
    assert set(table["complete"]) == {complete - 1}


def test_too_few_complete_trials_give_rows_without_importance() -> None:
    ended = {("kd", number): ("diverged", 50) for number in range(PLAN.bracket)}
    found = carry_out(noise(), ("kd",), brackets=1, ended=ended)
    table = importances(found.trials, found.studies)
    assert table["importance"].isna().tolist() == [True, True]
    assert table["complete"].tolist() == [0, 0]
