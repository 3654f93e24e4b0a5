"""What is taken away with a sweep or a stage, and what is remembered of it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from sweeper.comparison.evidence import read_evidence
from sweeper.core.errors import SweeperError
from sweeper.scheduler.removal import plan_removal, remove
from sweeper.store.database import Store
from sweeper.store.named_queries import run_query
from tests.sweeper.confirmation.declaring import declare
from tests.sweeper.confirmed import confirm, train_axes
from tests.sweeper.synthetic import fill

SECONDS = {"baseline": 1.0, "kd": 2.0, "rdd": 8.0}
VALUES = {"baseline": [41.0, 41.5, 42.0], "kd": [43.0, 42.5], "rdd": [42.0, 41.0]}


def test_a_stage_goes_as_a_whole_and_is_remembered_where_it_had_read(searched: Store) -> None:
    stage = declare(searched)
    with searched.engine.connect() as connection:
        with pytest.raises(SweeperError, match="goes as a whole or stays"):
            plan_removal(connection, stage.name, "kd")  # type: ignore[attr-defined]
        with pytest.raises(SweeperError, match="delete demo:confirm-1 before"):
            plan_removal(connection, "demo", "kd")
        removal = plan_removal(connection, stage.name)  # type: ignore[attr-defined]
    remove(searched, removal)
    confirm(searched.engine, VALUES)
    with searched.engine.connect() as connection:
        removal = plan_removal(connection, "demo:confirm-1")
    remove(searched, removal)
    events = read_evidence(searched.engine, "demo").events
    gone = events[events["kind"] == "confirmation deleted"]["detail"]
    assert [detail["readings"] for detail in gone] == [0, 14]


def test_a_sweep_takes_its_stages_with_it(searched: Store) -> None:
    confirm(searched.engine, VALUES)
    with searched.engine.connect() as connection:
        removal = plan_removal(connection, "demo")
    assert removal.trials == 3 * 16 + 14
    remove(searched, removal)
    with searched.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sweeper.sweep")) == 0


def test_equal_cost_goes_with_its_stage_whose_readings_stay_on_record(store: Store) -> None:
    fill(store.engine)
    confirm(store.engine, VALUES)
    train_axes(store.engine, {m: VALUES[m][:2] for m in VALUES}, SECONDS)
    with store.engine.connect() as connection:
        with pytest.raises(SweeperError, match="goes with its confirmation: sweeper delete demo:"):
            plan_removal(connection, "demo:training-2x")
        with pytest.raises(SweeperError, match="delete demo:confirm-1 before one of its methods"):
            plan_removal(connection, "demo", "kd")
        removal = plan_removal(connection, "demo:confirm-1")
    read = len(run_query(store.engine, "confirmations")) + len(
        run_query(store.engine, "equal_cost")
    )
    remove(store, removal)
    [event] = read_evidence(store.engine, "demo").events["detail"].tail(1)
    assert event["readings"] == read
    assert run_query(store.engine, "equal_cost").empty
