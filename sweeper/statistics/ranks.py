"""Correlations of ranks, without the half second that it takes to import scipy.stats."""

from __future__ import annotations

import math

import numpy as np

from sweeper.statistics.shrinkage import Floats


def tau_b(x: Floats, y: Floats) -> float:
    """Return Kendall's tau_b of two variables (N,); NaN where one of them is constant."""
    one, other = np.triu_indices(len(x), 1)
    sign_x, sign_y = np.sign(x[one] - x[other]), np.sign(y[one] - y[other])
    untied_x, untied_y = np.count_nonzero(sign_x), np.count_nonzero(sign_y)
    if not untied_x or not untied_y:
        return math.nan
    tau = float(sign_x @ sign_y) / math.sqrt(untied_x) / math.sqrt(untied_y)
    return min(max(tau, -1.0), 1.0)  # rounding may take it beyond


def spearman(x: Floats, y: Floats) -> float:
    """Return Spearman's correlation of two variables (N,), neither of them constant."""
    return float(np.corrcoef(ranks(x), ranks(y))[1, 0])


def ranks(values: Floats) -> Floats:
    """Return the rank of every value (N,), the least being 1; ties share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    shared: Floats = np.cumsum(count) - (count - 1) / 2
    return shared[place]
