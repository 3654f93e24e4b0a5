"""From a store to the verdict table: what is said, what is claimed, what stands beside it."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.comparison.comparison import TABLES, compare_sweep
from sweeper.store.database import Store
from tests.sweeper.comparison.judged import compared, draws, row
from tests.sweeper.confirmed import confirm
from tests.sweeper.synthetic import fill


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


def test_what_was_not_confirmed_stands_in_no_table(store: Store) -> None:
    fill(store.engine)
    confirm(store.engine, {"baseline": draws(42, 30, 1), "kd": draws(43, 10, 2)})
    comparison = compare_sweep(store.engine, "demo")
    for name, frame in comparison.tables().items():
        assert {*frame.get("method", ())} <= {"baseline", "kd"}, name


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
def test_a_baseline_that_tuning_did_no_good_is_a_warning(store: Store, published: float) -> None:
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
