"""The verdict table: what stands beside a verdict, and why there is none."""

from __future__ import annotations

from sqlalchemy import text

from sweeper.comparison.comparison import compare_sweep
from sweeper.store.database import Store
from tests.sweeper.comparison.judged import NAMES, draws, row
from tests.sweeper.confirmed import confirm
from tests.sweeper.synthetic import fill


def test_a_method_that_contains_the_baseline_is_worse_for_want_of_tuning(store: Store) -> None:
    fill(store.engine)
    with store.engine.begin() as connection:
        connection.execute(text("""UPDATE sweeper.study SET calibration = '{"equal": 2.0}'"""))
    values = {"baseline": draws(42, 30, 1), "kd": draws(40, 10, 2), "rdd": draws(40, 10, 3)}
    confirm(store.engine, values)
    comparison = compare_sweep(store.engine, "demo")
    assert row(comparison, "kd")["verdict"].startswith("worse at budget 16 (contains the baseline")
    assert "contains baseline" in row(comparison, "kd")["flags"]
    assert row(comparison, "rdd")["verdict"] == "worse"  # its weighting is never off


def test_runs_that_diverged_are_left_out_and_flagged(store: Store) -> None:
    fill(store.engine)
    confirm(store.engine, {name: draws(42, 10, seed) for seed, name in enumerate(NAMES)})
    diverge = """UPDATE sweeper.trial t SET state = 'PRUNED', diverged = true, score = NULL
        FROM sweeper.study y JOIN sweeper.sweep s ON s.id = y.sweep_id
        WHERE y.id = t.study_id AND s.confirms IS NOT NULL AND y.method = 'kd' AND t.number < 4"""
    with store.engine.begin() as connection:
        connection.execute(text(diverge))
    kd = row(compare_sweep(store.engine, "demo"), "kd")
    assert (kd["n"], "diverged 2/10" in kd["flags"]) == (8, True)


def test_a_method_with_runs_that_failed_is_not_judged(store: Store) -> None:
    fill(store.engine)
    values = {"baseline": draws(42, 30, 1), "kd": draws(44, 10, 2), "rdd": draws(44, 10, 3)}
    confirm(store.engine, values)
    fail = """UPDATE sweeper.trial t SET state = 'FAIL', score = NULL
        FROM sweeper.study y JOIN sweeper.sweep s ON s.id = y.sweep_id
        WHERE y.id = t.study_id AND s.confirms IS NOT NULL AND y.method = 'kd' AND t.number < 2"""
    with store.engine.begin() as connection:
        connection.execute(text(fail))
    comparison = compare_sweep(store.engine, "demo")
    assert row(comparison, "kd")["verdict"] == ""
    assert row(comparison, "kd")["reason"].startswith("1 of its runs failed or were cancelled")
    assert row(comparison, "rdd")["verdict"] == "better"


def test_without_confirmations_there_is_a_table_with_reasons(store: Store) -> None:
    fill(store.engine)
    comparison = compare_sweep(store.engine, "demo")
    assert comparison.contrasts is None
    assert set(comparison.verdicts["verdict"]) == {""}
    assert row(comparison, "kd")["reason"] == "not confirmed: sweeper confirm demo"
    assert row(comparison, "kd")["selection_score"] > row(comparison, "baseline")["selection_score"]


def test_an_unfinished_confirmation_is_not_judged(store: Store) -> None:
    fill(store.engine)
    stage = confirm(store.engine, {name: draws(42, 10, seed) for seed, name in enumerate(NAMES)})
    with store.engine.begin() as connection:
        open_one = """UPDATE sweeper.trial SET state = 'RUNNING', score = NULL WHERE number = 0
            AND study_id = (SELECT max(id) FROM sweeper.study WHERE sweep_id = :stage)"""
        connection.execute(text(open_one), {"stage": stage.id})
    comparison = compare_sweep(store.engine, "demo")
    assert set(comparison.verdicts["verdict"]) == {""}
    assert "not finished" in row(comparison, "kd")["reason"]


def test_a_teacher_that_hardly_beats_the_baseline_is_flagged(store: Store) -> None:
    fill(store.engine)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.sweep SET teacher_hash = 'w'"))
        connection.execute(
            text("""INSERT INTO sweeper.artifact (hash, kind, origin, identity, path, weights_hash,
            metrics) VALUES ('t', 'teacher', 'trained', '{}', '/t.pt', 'w', '{"score": 43.5}')""")
        )
    confirm(store.engine, {name: draws(42, 10, seed) for seed, name in enumerate(NAMES)})
    comparison = compare_sweep(store.engine, "demo")
    assert "weak teacher" in row(comparison, "kd")["flags"]
    assert any(line.startswith("weak teacher: 43.50") for line in comparison.warnings)
