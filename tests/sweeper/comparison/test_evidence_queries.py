"""What is copied out of the store is what stands in it, to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, text, update

from sweeper.comparison.evidence import Evidence, read_evidence
from sweeper.store.schema import trial
from tests.sweeper.synthetic import fill

ENDED = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


@pytest.fixture
def evidence(engine: Engine) -> Evidence:
    """A sweep with a value of many digits in trial 3 of its first search, and when it ended."""
    fill(engine)
    changed = update(trial).where(trial.c.study_id == 1, trial.c.number == 3)
    with engine.begin() as connection:
        connection.execute(changed.values(score=100 / 7, finished_at=ENDED))
    return read_evidence(engine, "demo")


def test_trials_keep_every_digit_and_microsecond(evidence: Evidence) -> None:
    trials = evidence.trials
    assert trials.loc[3, ["number", "score", "finished_at"]].tolist() == [3, 100 / 7, ENDED]
    assert (trials["finished_at"] == ENDED).sum() == 1
    assert trials.loc[~trials["diverged"] & (trials["state"] != "FAIL"), "score"].notna().all()


def test_parameters_belong_to_their_trials(engine: Engine, evidence: Evidence) -> None:
    order = "SELECT params FROM sweeper.trial ORDER BY study_id, number"
    with engine.connect() as connection:
        assert evidence.trials["params"].tolist() == connection.scalars(text(order)).all()


def test_rungs_are_in_order_and_whole(engine: Engine, evidence: Evidence) -> None:
    order = "SELECT score FROM sweeper.rung ORDER BY study_id, number, index"
    with engine.connect() as connection:
        assert evidence.rungs["score"].tolist() == connection.scalars(text(order)).all()


def test_a_sweep_without_trials_has_the_same_columns(engine: Engine, evidence: Evidence) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM sweeper.trial"))
    empty = read_evidence(engine, "demo")
    for before, after in ((evidence.trials, empty.trials), (evidence.rungs, empty.rungs)):
        assert after.empty
        pd.testing.assert_series_equal(before.dtypes, after.dtypes)
    assert empty.trials["score"].dtype == np.float64
