"""A sweep's evidence has what was declared, what came of it, and what of it is compared."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from sweeper.comparison.evidence import read_evidence
from tests.sweeper.confirmed import confirm
from tests.sweeper.synthetic import fill

VALUES = {"baseline": [41.0, 41.5, 42.0], "kd": [43.0, 42.5], "rdd": [42.0, 41.0]}


def test_the_evidence_has_what_was_declared_and_what_came_of_it(engine: Engine) -> None:
    fill(engine)
    confirm(engine, VALUES)
    evidence = read_evidence(engine, "demo")
    [stage] = evidence.stages
    assert (stage.seeds, stage.baseline_seeds, stage.delta, stage.is_done) == (2, 3, 0.5, True)
    assert (evidence.budget, evidence.methods) == (16, ("baseline", "kd", "rdd"))
    tuned = evidence.confirmations.query("configuration == 'tuned'")
    found = tuned.groupby("method")["score"].apply(list).to_dict()
    assert found == {method: pytest.approx(each) for method, each in VALUES.items()}
    keys = list(zip(tuned["study_id"].tolist(), tuned["number"].tolist(), strict=True))
    matrices = dict(evidence.confusions(keys))
    assert set(matrices) == set(keys)
    assert {matrix.shape for matrix in matrices.values()} == {(6, 3, 3)}


def test_before_a_confirmation_the_whole_brackets_that_all_have_are_compared(
    engine: Engine,
) -> None:
    fill(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.trial SET state = 'RUNNING' WHERE number = 12"))
    evidence = read_evidence(engine, "demo")
    assert (evidence.budget, evidence.methods) == (8, ("baseline", "kd", "rdd"))


def test_after_a_confirmation_the_methods_that_were_confirmed_are_compared(engine: Engine) -> None:
    fill(engine)
    confirm(engine, {method: VALUES[method] for method in ("baseline", "kd")})
    evidence = read_evidence(engine, "demo")
    assert evidence.methods == ("baseline", "kd")
    assert set(evidence.compared_trials["method"]) == {"baseline", "kd"}
    assert set(evidence.trials["method"]) == {"baseline", "kd", "rdd"}
