"""From a store to the verdict table: what is said, what is claimed, what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from sqlalchemy import text

from sweeper.comparison.comparison import TABLES, Comparison, compare_sweep
from sweeper.store.database import Store
from tests.sweeper.confirmed import confirm
from tests.sweeper.synthetic import fill

NAMES = ("baseline", "kd", "rdd")


def draws(centre: float, number: int, seed: int, sd: float = 0.4) -> list[float]:
    """Return values with exactly this mean and standard deviation."""
    values = np.random.default_rng(seed).standard_normal(number)
    values = (values - values.mean()) / values.std(ddof=1)
    return [float(value) for value in centre + sd * values]


def compared(store: Store, kd: Sequence[float], rdd: Sequence[float]) -> Comparison:
    fill(store.engine)
    confirm(store.engine, {"baseline": draws(42, 30, 1), "kd": kd, "rdd": rdd})
    return compare_sweep(store.engine, "demo")


def row(comparison: Comparison, method: str):  # type: ignore[no-untyped-def]
    table = comparison.verdicts
    return table[table["method"] == method].iloc[0]


def test_a_gain_a_loss_and_their_intervals(store: Store) -> None:
    comparison = compared(store, draws(43.2, 10, 2), draws(40.8, 10, 3))
    assert list(comparison.verdicts["method"]) == ["baseline", "kd", "rdd"]
    kd, rdd = row(comparison, "kd"), row(comparison, "rdd")
    assert (kd["verdict"], rdd["verdict"]) == ("better", "worse")
    assert kd["difference"] == pytest.approx(1.2)
    assert kd["low_simultaneous"] < kd["low"] < 1.2 < kd["high"] < kd["high_simultaneous"]
    assert kd["published_mean"] == pytest.approx(kd["mean"] - 1.0)
    assert (kd["n"], row(comparison, "baseline")["n"]) == (10, 30)
    assert np.isnan(kd["improvement"])  # under 20 seeds a side


def test_no_gain_above_delta_and_undecided(store: Store) -> None:
    comparison = compared(store, draws(41.9, 10, 2), draws(42.3, 10, 3, sd=1.2))
    kd, rdd = row(comparison, "kd"), row(comparison, "rdd")
    assert (kd["verdict"], rdd["verdict"]) == ("no gain above delta", "undecided")
    assert kd["largest_gain"] < comparison.delta < rdd["largest_gain"]


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


def test_runs_that_diverged_are_left_out_and_told(store: Store) -> None:
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


def test_what_was_not_confirmed_stands_in_no_table(store: Store) -> None:
    fill(store.engine)
    confirm(store.engine, {"baseline": draws(42, 30, 1), "kd": draws(43, 10, 2)})
    comparison = compare_sweep(store.engine, "demo")
    for name, frame in comparison.tables().items():
        assert {*frame.get("method", ())} <= {"baseline", "kd"}, name


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


def test_a_second_confirmation_tells_more_and_says_that_it_was_not_planned(store: Store) -> None:
    comparison = compared(store, draws(42.4, 10, 2), draws(42.0, 10, 3))
    before = row(comparison, "kd")
    more = {"baseline": draws(42, 30, 4), "kd": draws(42.4, 10, 5), "rdd": draws(42.0, 10, 6)}
    confirm(store.engine, more, more=True)
    comparison = compare_sweep(store.engine, "demo")
    after = row(comparison, "kd")
    assert (after["n"], before["n"]) == (20, 10)
    assert after["high"] - after["low"] < before["high"] - before["low"]
    assert any("declared after the first was seen" in line for line in comparison.warnings)


@pytest.mark.parametrize("published", [1.0, -1.0])
def test_a_baseline_that_tuning_did_no_good_is_told(store: Store, published: float) -> None:
    fill(store.engine)
    values = {"baseline": draws(42, 4, 1), "kd": draws(43, 4, 2), "rdd": draws(42, 4, 3)}
    confirm(store.engine, values, published=published)
    told = [w for w in compare_sweep(store.engine, "demo").warnings if "baseline's published" in w]
    assert len(told) == (published > 0)
    assert all("1.00 mIoU above its tuned ones" in line for line in told)


def test_every_table_can_be_had_and_the_claim_is_of_configurations(store: Store) -> None:
    comparison = compared(store, draws(43.0, 10, 2), draws(42.0, 10, 3))
    assert set(comparison.tables()) == set(TABLES)
    assert all(list(frame.columns) for frame in comparison.tables().values())
    assert comparison.claim.startswith("Claimed is something about configurations")
    classes = comparison.class_differences
    assert set(classes["class"]) == {"road", "car", "sky"}
    kd = classes[classes["method"] == "kd"]["difference"]
    assert kd.to_numpy() == pytest.approx([1.0] * 3)
