"""What stands beside a verdict, never instead of it: still improving, best value at an edge."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from sweeper.comparison.searches import SEARCH, best_trials, spaces_of, whole_brackets
from sweeper.search.brackets import BracketPlan
from sweeper.search.space import Dimension

EDGE = 0.05  # of a range, on either side
WIDER = 0.25  # of a range's width, that it is widened by


def improvements(
    trials: pd.DataFrame,
    studies: pd.DataFrame,
    plan: BracketPlan,
    budget: int,
    seed_sds: Mapping[str, float],
    default_sd: float,
) -> pd.DataFrame:
    """Return what the last doubling of the budget gained, a row a search.

    `seed_sds` holds the standard deviation of a method's confirmations between seeds, in percent,
    `default_sd` that of a method without: a value of the search is one run, so this is its standard
    error. Half the budget is rounded down to whole brackets. Columns: method, repeat,
    dimensions, half_budget, budget, best_at_half, best_at_full (NaN where that many trials are not
    decided, or none of them is complete), gain, standard_error, still_improving (the gain exceeds
    the standard error).
    """
    half = budget // 2 // plan.bracket * plan.bracket
    found = studies[[*SEARCH, "dimensions"]].assign(half_budget=half, budget=budget)
    for name, upto in (("best_at_half", half), ("best_at_full", budget)):
        found = found.merge(_bests(trials, plan, upto, name), on=SEARCH, how="left")
    gain = found["best_at_full"] - found["best_at_half"]
    errors = found["method"].map(dict(seed_sds)).astype(float).fillna(default_sd)
    return found.assign(gain=gain, standard_error=errors, still_improving=gain > errors)


def edges(
    trials: pd.DataFrame, studies: pd.DataFrame, plan: BracketPlan, budget: int | None = None
) -> pd.DataFrame:
    """Return the best values that lie in the outer 5 % of their range or beyond it, a row each.

    In the logarithm where the dimension is searched there. Columns: method, repeat, number (the
    best trial), hyperparameter, value, low, high, side (low or high), wider_low, wider_high: the
    range to try, a quarter of its width further, from the value where that lies beyond (trial 0's
    may). Not below 0, nor beyond 1 where a range without logarithm lies within [0, 1], a share;
    what cannot be widened has no edge.
    """
    best = best_trials(whole_brackets(trials, plan, budget))
    spaces = spaces_of(studies)
    rows = [
        {**{name: row[name] for name in [*SEARCH, "number"]}, **edge}
        for row in best.to_dict("records")
        for dimension in spaces[row["method"], row["repeat"]].dimensions
        for edge in _edge(dimension, float(row["params"][dimension.name]))
    ]
    names = ["number", "hyperparameter", "value", "low", "high", "side", "wider_low", "wider_high"]
    return pd.DataFrame(rows, columns=[*SEARCH, *names])


def _bests(trials: pd.DataFrame, plan: BracketPlan, budget: int, name: str) -> pd.DataFrame:
    """Return the best of every search that has decided all brackets of a budget, as one column."""
    whole = whole_brackets(trials, plan, budget)
    sizes = whole.groupby(SEARCH)["number"].transform("count")
    best = best_trials(whole[sizes == budget])
    return best[[*SEARCH, "score"]].rename(columns={"score": name})


def _edge(dimension: Dimension, value: float) -> Iterator[dict[str, Any]]:
    unit = _unit(dimension, value)
    if EDGE < unit < 1 - EDGE:
        return
    is_low = unit <= EDGE
    wider_low = _widened(dimension, min(unit, 0.0) - WIDER) if is_low else dimension.low
    wider_high = dimension.high if is_low else _widened(dimension, max(unit, 1.0) + WIDER)
    if (wider_low, wider_high) == (dimension.low, dimension.high):
        return
    yield {
        "hyperparameter": dimension.name,
        "value": value,
        "low": dimension.low,
        "high": dimension.high,
        "side": "low" if is_low else "high",
        "wider_low": wider_low,
        "wider_high": wider_high,
    }


def _unit(dimension: Dimension, value: float) -> float:
    """Return where in the range a value lies: 0 at its low end, 1 at its high end."""
    if not dimension.log:
        return (value - dimension.low) / (dimension.high - dimension.low)
    return math.log(value / dimension.low) / math.log(dimension.high / dimension.low)


def _widened(dimension: Dimension, unit: float) -> float:
    """Return the value at a place outside of the range; a share stays one, a weight positive."""
    if dimension.log:
        return float(dimension.low * (dimension.high / dimension.low) ** unit)
    value = dimension.low + unit * (dimension.high - dimension.low)
    if dimension.low < 0:
        return value
    return min(max(value, 0.0), 1.0 if dimension.high <= 1 else math.inf)
