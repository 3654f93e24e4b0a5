"""`sweeper.connect` gives notebooks what the command line has."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

import sweeper
from sweeper.core.errors import DatabaseError
from tests.sweeper.synthetic import fill


def test_a_store_answers_with_data_frames(engine: Engine, store_url: str) -> None:
    fill(engine)
    with sweeper.connect(store_url) as store:
        assert store.sweeps() == ["demo"]
        assert list(store.leaderboard("demo")["method"]) == ["kd", "rdd", "baseline"]
        assert len(store.trials()) == 48
        assert set(store.curves("demo")["rung"]) == {0, 1}
        assert set(store.ledger("demo")["planned_steps"]) == {1010}


def test_sql_reads_and_cannot_write(engine: Engine, store_url: str) -> None:
    fill(engine)
    with sweeper.connect(store_url) as store:
        assert store.sql("SELECT count(*) AS n FROM sweeper.trials")["n"].item() == 48
        with pytest.raises(DatabaseError, match="refused"):
            store.sql("DELETE FROM sweeper.trial")
