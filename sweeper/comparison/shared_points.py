"""Differences to the baseline at equal shared points: free and telling, but no verdict.

Trials 1 .. bracket-1 of a search are rows of one Sobol sequence, so that the shared hyperparameters
of trial i are the same in every method of a repeat; and all searches of a repeat train with one
seed. What remains is the method, at its own hyperparameters of that row.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sweeper.comparison.searches import SEARCH
from sweeper.core.constants import BASELINE
from sweeper.search.brackets import BracketPlan
from sweeper.statistics.p_values import critical_t

CONFIDENCE = 0.95
POINT = ["repeat", "number"]


def shared_pairs(rungs: pd.DataFrame, plan: BracketPlan) -> pd.DataFrame:
    """Return each method's values beside the baseline's, at the highest rung that both reached.

    Columns: method, repeat, number, rung, step, score, baseline, difference; a row a shared point
    whose first rung both reached. Values at an early rung are values of half-trained students.
    """
    start = rungs[rungs["number"].between(1, plan.bracket - 1)]
    values = start[[*SEARCH, "number", "rung", "step", "score"]]
    is_baseline = values["method"] == BASELINE
    baseline = values[is_baseline].rename(columns={"score": "baseline"}).drop(columns="method")
    both = values[~is_baseline].merge(baseline, on=[*POINT, "rung", "step"])
    highest = both.sort_values([*SEARCH, "number", "rung"]).drop_duplicates(
        [*SEARCH, "number"], keep="last"
    )
    return highest.assign(difference=highest["score"] - highest["baseline"]).reset_index(drop=True)


def shared_differences(pairs: pd.DataFrame, plan: BracketPlan) -> pd.DataFrame:
    """Return the mean difference of every method to the baseline at equal shared points.

    Columns: method, n, n_final (points compared at the last rung), left_out (points that one of the
    two did not bring to its first rung), n_positive, mean, low, high: 95 %, Student's t over points
    (NaN with fewer than two). The interval tells points apart, not seeds: there is one.
    """
    rows = [{"method": method, **_difference(group, plan)} for method, group in _methods(pairs)]
    columns = ["method", "n", "n_final", "left_out", "n_positive", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _methods(pairs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(method), group) for method, group in pairs.groupby("method")]


def _difference(pairs: pd.DataFrame, plan: BracketPlan) -> dict[str, float]:
    differences = pairs["difference"].to_numpy(dtype=float)
    low, high = _interval(differences)
    return {
        "n": len(pairs),
        "n_final": int((pairs["rung"] == len(plan.rung_steps) - 1).sum()),
        "left_out": (plan.bracket - 1) * pairs["repeat"].nunique() - len(pairs),
        "n_positive": int((differences > 0).sum()),
        "mean": float(differences.mean()),
        "low": low,
        "high": high,
    }


def _interval(differences: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    count = len(differences)
    if count < 2:
        return float("nan"), float("nan")
    error = differences.std(ddof=1) / np.sqrt(count)
    reach = critical_t(np.array([count - 1.0]), 1 - CONFIDENCE)[0] * error
    return float(differences.mean() - reach), float(differences.mean() + reach)
