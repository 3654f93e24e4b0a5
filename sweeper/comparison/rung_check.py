"""Does a rung rank trials as the end does? From anchors alone: survivors would bias it down.

An anchor counts at a rung that it reached if it is complete, or diverged later and so ends with 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from sweeper.comparison.searches import SEARCH, ended_anchors
from sweeper.search.brackets import BracketPlan
from sweeper.statistics.ranks import ranks, spearman, tau_b
from sweeper.statistics.shrinkage import Floats

LEAST_AGREEMENT = 0.5  # of tau_b; a rung that surely stays under it misleads
CONFIDENCE = 0.95
RESAMPLES = 9999


@dataclass(frozen=True)
class _Anchors:
    """What counts at a rung, an anchor each, in the order of their numbers."""

    early: Floats  # mIoU at the rung
    final: Floats
    rates: Floats  # learning rates


def check_rungs(trials: pd.DataFrame, rungs: pd.DataFrame, plan: BracketPlan) -> pd.DataFrame:
    """Return how every rung but the last ranked the anchors of every search, a row each.

    Columns: method, repeat, rung, step, anchors (how many count), and the MEASURES below; NaN where
    too few anchors count, or all tie.
    """
    judged = _judged_anchors(trials, rungs, plan)
    key = [*SEARCH, "rung", "step"]
    rows = [
        {**dict(zip(key, name, strict=True)), "anchors": len(group), **_measure(group, plan)}
        for name, group in judged.groupby(key)
    ]
    return pd.DataFrame(rows, columns=[*key, "anchors", *MEASURES])


def summarise_rungs(checks: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return the means over methods of what check_rungs found, a row a rung.

    A method counts once, with the mean of its searches. Columns: rung, step, methods (how many have
    a tau), of every measure X its mean X and the limits X_low and X_high of its 95 % interval, a
    bootstrap over methods (NaN with fewer than two), and `misleads`: tau_high is under 0.5.
    """
    methods = checks.groupby(["rung", "step", "method"])[list(MEASURES)].mean()
    rows = [
        {"rung": rung, "step": step, "methods": int(group["tau"].count()), **_means(group, seed)}
        for (rung, step), group in methods.groupby(level=["rung", "step"])
    ]
    limits = [f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")]
    summary = pd.DataFrame(rows, columns=["rung", "step", "methods", *limits])
    return summary.assign(misleads=summary["tau_high"] < LEAST_AGREEMENT)


def _judged_anchors(trials: pd.DataFrame, rungs: pd.DataFrame, plan: BracketPlan) -> pd.DataFrame:
    """Return a row an anchor and rung: method, repeat, rung, step, number, score, final, rate."""
    anchors = ended_anchors(trials, plan)
    known = anchors[[*SEARCH, "number", "final"]].assign(
        rate=[float(params["learning_rate"]) for params in anchors["params"]]
    )
    before = rungs.loc[
        rungs["rung"] < len(plan.rung_steps) - 1, [*SEARCH, "number", "rung", "step", "score"]
    ]
    return before.merge(known, on=[*SEARCH, "number"]).sort_values([*SEARCH, "rung", "number"])


def _measure(rows: pd.DataFrame, plan: BracketPlan) -> dict[str, float]:
    going_on = plan.keep[int(rows["rung"].iloc[0]) + 1]
    places = max(going_on * plan.anchors // plan.bracket, 1)  # if anchors were judged as others are
    anchors = _Anchors(*(rows[name].to_numpy() for name in ("score", "final", "rate")))
    return {name: measure(anchors, places) for name, measure in MEASURES.items()}


def _tau(anchors: _Anchors, _: int) -> float:
    """Return Kendall's tau_b between the value at the rung and the final one."""
    return tau_b(anchors.early, anchors.final)


def _regret(anchors: _Anchors, places: int) -> float:
    """Return what is lost, in mIoU, when only the rung's best `places` go on.

    It is the best final value of all anchors minus the best of those that the rung would promote.
    """
    ranked = anchors.final[np.argsort(-anchors.early, kind="stable")]
    return float(ranked.max() - ranked[:places].max())


def _regret_of_first(anchors: _Anchors, _: int) -> float:
    """Return what is lost when the one that the rung ranks first is taken for the best."""
    return _regret(anchors, 1)


def _rate_bias(anchors: _Anchors, _: int) -> float:
    """Return Spearman's correlation of (rung rank - final rank) with the learning rate.

    Rank 1 is the best. Above 0, the rung ranks high learning rates worse than the end does.
    """
    shift = ranks(-anchors.early) - ranks(-anchors.final)
    if len(shift) < 3 or np.ptp(shift) == 0 or np.ptp(anchors.rates) == 0:
        return float("nan")
    return spearman(shift, anchors.rates)


def _means(methods: pd.DataFrame, seed: int) -> dict[str, float]:
    """Return the mean of every measure over methods, with its bootstrap limits."""
    found: dict[str, float] = {}
    for name in MEASURES:
        values = methods[name].dropna().to_numpy()
        low, high = _interval(values, seed)
        mean = float(values.mean()) if len(values) else float("nan")
        found |= {name: mean, f"{name}_low": low, f"{name}_high": high}
    return found


def _interval(values: Floats, seed: int) -> tuple[float, float]:
    if len(values) < 2:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    ranked, tail = np.sort(values[drawn].mean(axis=1)), (1 - CONFIDENCE) / 2
    # As scipy.stats.bootstrap has it; np.quantile gives the same but for the last digit.
    places = np.array([tail, 1 - tail]) * (RESAMPLES - 1)
    below, share = places.astype(int), places % 1
    low, high = (1 - share) * ranked[below] + share * ranked[below + 1]
    return float(low), float(high)


MEASURES: Mapping[str, Callable[[_Anchors, int], float]] = MappingProxyType(
    {
        "tau": _tau,
        "regret": _regret,
        "regret_of_first": _regret_of_first,
        "rate_bias": _rate_bias,
    }
)
