"""Correlations of ranks, held against scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sweeper.statistics.ranks import ranks, spearman, tau_b

VARIABLES = [
    np.random.default_rng(seed).normal(size=(2, 3 + seed % 12)).round(decimals)
    for seed in range(40)
    for decimals in (0, 1, 9)
]


def test_ranks_and_correlations_are_those_of_scipy() -> None:
    for x, y in VARIABLES:
        assert ranks(x).tolist() == stats.rankdata(x).tolist()
        assert tau_b(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, nan_ok=True)
        if np.ptp(x) and np.ptp(y):
            assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


@pytest.mark.parametrize("size", [0, 1, 4])
def test_what_does_not_vary_has_no_tau(size: int) -> None:
    assert math.isnan(tau_b(np.ones(size), np.arange(size, dtype=float)))
