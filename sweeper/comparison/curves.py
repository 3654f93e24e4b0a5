"""Best-so-far curves by trials and by cost, bootstrapped over brackets; the expected maximum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import comb

from sweeper.comparison.bracket_replay import AXES, Brackets, Floats, replay
from sweeper.comparison.searches import SEARCH, ended_anchors
from sweeper.search.brackets import BracketPlan

RESAMPLES = 500
BAND = 0.9
GRID = 100  # points of a grid at most: as many as a plot can show
Indices = np.ndarray[Any, np.dtype[np.int64]]
CURVE = ["method", "axis", "at", "observed", "mean", "low", "high"]


def best_so_far(
    trials: pd.DataFrame,
    rungs: pd.DataFrame,
    plan: BracketPlan,
    budget: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the best complete value after so many trials, steps and device-seconds, by method.

    Columns: method, axis (a key of AXES), at (a point of the grid that all methods share), observed
    (brackets in the order in which they ran; the mean over a method's searches), mean, low, high
    (mean and 90 % band over searches of equally many brackets, drawn whole and with replacement
    from all of the method's). NaN where a search, or more than 5 % of those drawn, has no complete
    trial yet. A method has no row beyond what it spent. `mean` lies above `observed` at the
    start, since a bracket that learnt from others is drawn there too, and below it at the end,
    since the best bracket is drawn in two of three cases.
    """
    searches = replay(trials, rungs, plan, budget)
    frames = [
        _curve(brackets, axis, grid, seed).assign(method=method, axis=axis)
        for axis, grid in _grids(searches).items()
        for method, brackets in searches.items()
    ]
    if not frames:
        return pd.DataFrame(columns=CURVE)
    return pd.concat(frames, ignore_index=True)[CURVE]


def expected_maximum(trials: pd.DataFrame, plan: BracketPlan) -> pd.DataFrame:
    """Return approximately how good the best of n random trials is, from the anchors alone.

    From the anchors drawn at random (origin sobol; trial 0 is nobody's draw); a diverged one counts
    as 0. Approximate: few, evenly spread points stand for random ones. Columns: method, n (1 to the
    number of those anchors), `approximate` (with replacement: Dodge et al. 2019, arXiv
    1909.03004, biased downwards) and `approximate_unbiased` (without: Tang et al. 2020, arXiv
    2004.13705), both in percent and means over the method's searches.
    """
    anchors = ended_anchors(trials, plan)
    drawn = anchors[anchors["origin"] == "sobol"].groupby(SEARCH)["final"]
    rows = [
        {"method": key[0], **point}
        for key, values in drawn
        for point in _expected(np.sort(values.to_numpy()))
    ]
    columns = ["method", "n", "approximate", "approximate_unbiased"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.groupby(["method", "n"], as_index=False)[columns[2:]].mean()


def _expected(values: Floats) -> Iterator[dict[str, float]]:
    """Yield both estimates for n = 1 .. N of N values in rising order."""
    count = len(values)
    ranks = np.arange(count + 1) / count
    for n in range(1, count + 1):
        with_replacement = np.diff(ranks**n)
        without = comb(np.arange(count), n - 1) / comb(count, n)
        yield {
            "n": n,
            "approximate": float(values @ with_replacement),
            "approximate_unbiased": float(values @ without),
        }


def _grids(searches: Mapping[str, Sequence[Brackets]]) -> dict[str, Floats]:
    """Return the common grid of every axis: whole trials, or even parts of the highest cost."""
    every = [search for group in searches.values() for search in group]
    if not every:
        return {}
    ends = {axis: max(float(search.lengths[axis].sum()) for search in every) for axis in AXES}
    return {
        axis: np.unique(np.linspace(1, end, min(int(end), GRID)).round())
        if axis == "trials"
        else np.linspace(0, end, GRID + 1)[1:]
        for axis, end in ends.items()
    }


def _curve(searches: Sequence[Brackets], axis: str, grid: Floats, seed: int) -> pd.DataFrame:
    spent = max(float(search.lengths[axis].sum()) for search in searches)
    points = grid[grid <= spent * (1 + 1e-9)]
    own = [_best(search, axis, np.arange(len(search.values))[None], points) for search in searches]
    pool = _pooled(searches)
    brackets = max(len(search.values) for search in searches)
    draws = np.random.default_rng(seed).integers(len(pool.values), size=(RESAMPLES, brackets))
    mean, low, high = _band(_best(pool, axis, draws, points))
    observed = np.concatenate(own).mean(axis=0)
    return pd.DataFrame(
        {
            "at": points,
            "observed": np.where(np.isfinite(observed), observed, np.nan),
            "mean": mean,
            "low": low,
            "high": high,
        }
    )


def _pooled(searches: Sequence[Brackets]) -> Brackets:
    return Brackets(
        values=np.concatenate([search.values for search in searches]),
        offsets={axis: np.concatenate([s.offsets[axis] for s in searches]) for axis in AXES},
        lengths={axis: np.concatenate([s.lengths[axis] for s in searches]) for axis in AXES},
    )


def _best(brackets: Brackets, axis: str, draws: Indices, points: Floats) -> Floats:
    """Return (n, points) the best value so far of n searches whose (n, B) brackets are given.

    -inf where there is none yet. A search that has spent all keeps its best.
    """
    within = points + 1e-9 * points[-1]  # seconds summed in another order differ in the last digit
    ends = np.cumsum(brackets.lengths[axis][draws], axis=1)
    finished = np.stack([np.searchsorted(row, within, side="right") for row in ends])
    best_after = _led_by(np.maximum.accumulate(brackets.values.max(axis=1)[draws], axis=1), -np.inf)
    # Of the bracket under way, the trials that have arrived; of the last one, if all are finished.
    under_way = np.take_along_axis(draws, np.minimum(finished, draws.shape[1] - 1), axis=1)
    passed = within - np.take_along_axis(_led_by(ends, 0.0), finished, axis=1)
    arrived = (brackets.offsets[axis][under_way] <= passed[..., None]).sum(axis=-1)
    running = _led_by(np.maximum.accumulate(brackets.values, axis=1), -np.inf)[under_way, arrived]
    best: Floats = np.maximum(running, np.take_along_axis(best_after, finished, axis=1))
    return best


def _led_by(rows: Floats, first: float) -> Floats:
    """Return rows with one more element in front of each."""
    return np.pad(rows, ((0, 0), (1, 0)), constant_values=first)


def _band(paths: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, low and high over (n, points) paths, NaN where too many are still at -inf."""
    count = len(paths)
    tail = round((1 - BAND) / 2 * count)
    ranked = np.partition(paths, (tail, count - 1 - tail), axis=0)
    has_value = np.isfinite(paths)
    total = np.where(has_value, paths, 0.0).sum(axis=0)
    known = np.isfinite(ranked[tail])
    bands = (total / np.maximum(has_value.sum(axis=0), 1), ranked[tail], ranked[count - 1 - tail])
    mean, low, high = (np.where(known, band, np.nan) for band in bands)
    return mean, low, high
