"""Confirmed sweeps whose scores have exactly the mean and spread that a verdict is to come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sweeper.comparison.comparison import Comparison, compare_sweep
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
