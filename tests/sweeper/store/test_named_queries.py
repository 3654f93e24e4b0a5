"""The named queries: their rows, their order, their columns, and what they refuse."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sweeper.core.errors import SweeperError
from sweeper.store.named_queries import ORDERS, run_query
from tests.sweeper.synthetic import BEST, fill, score_of


@pytest.fixture
def two_sweeps(engine: Engine) -> Engine:
    """An engine on a store with `demo`, and `other` without a baseline."""
    fill(engine)
    fill(engine, name="other", methods=("kd",))
    return engine


@pytest.mark.parametrize(
    ("name", "rows", "rows_of_other"),
    [("leaderboard", 4, 1), ("trials", 64, 16), ("curves", 100, 25), ("ledger", 4, 1)],
)
def test_a_query_is_of_one_sweep_or_of_all(
    two_sweeps: Engine, name: str, rows: int, rows_of_other: int
) -> None:
    assert len(run_query(two_sweeps, name)) == rows
    assert len(run_query(two_sweeps, name, "other")) == rows_of_other


def test_each_hyperparameter_has_its_column(two_sweeps: Engine) -> None:
    frame = run_query(two_sweeps, "trials", "demo")
    assert [name for name in frame.columns if name.startswith("params.")] == [
        "params.learning_rate",
        "params.weight_decay",
        "params.multiplier",
        "params.temperature",
        "params.threshold",
    ]
    assert frame.loc[frame["method"] == "baseline", "params.multiplier"].isna().all()
    assert frame["params.learning_rate"].dtype == float


def test_a_sweep_that_has_no_value_yet_comes_last(two_sweeps: Engine) -> None:
    with two_sweeps.begin() as connection:
        connection.exec_driver_sql("UPDATE sweeper.trial SET state = 'RUNNING' WHERE study_id = 2")
    frame = run_query(two_sweeps, "leaderboard", "demo")
    assert list(frame["method"]) == ["rdd", "baseline", "kd"]
    assert frame["best_trial"].dtype == "Int64"


def test_the_leaderboard_holds_each_sweeps_best(two_sweeps: Engine) -> None:
    frame = run_query(two_sweeps, "leaderboard").set_index(["sweep", "method"])
    assert frame.loc[("demo", "kd"), "score"] == score_of("kd", BEST, 80)


def test_times_are_utc(two_sweeps: Engine) -> None:
    assert str(run_query(two_sweeps, "curves")["recorded_at"].dt.tz) == "UTC"


@pytest.mark.parametrize("name", ORDERS)
def test_an_empty_store_gives_empty_frames(engine: Engine, name: str) -> None:
    assert len(run_query(engine, name)) == 0


@pytest.mark.parametrize(
    ("query", "sweep", "hint"),
    [
        ("leaderbord", None, "no query 'leaderbord'; did you mean 'leaderboard'"),
        ("trials", "domo", "no sweep 'domo'; did you mean 'demo'"),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(
    two_sweeps: Engine, query: str, sweep: str | None, hint: str
) -> None:
    with pytest.raises(SweeperError, match=hint):
        run_query(two_sweeps, query, sweep)


def test_without_any_sweep_the_command_that_makes_one_is_named(engine: Engine) -> None:
    with pytest.raises(SweeperError, match="sweeper launch"):
        run_query(engine, "trials", "demo")
