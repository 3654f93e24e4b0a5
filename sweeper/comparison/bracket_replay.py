"""Brackets run once more from their stored rung values: what each cost, and when its values came.

A bracket is replayed with the places and anchors of its own index, rung by rung, and within a rung
by number, as one worker would. Under the plan of the sweep that repeats what happened; under one
that keeps fewer, it is what that plan would have found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from sweeper.comparison.searches import SEARCH, whole_brackets
from sweeper.search.brackets import BracketPlan

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

AXES: Mapping[str, str] = MappingProxyType(
    {
        "trials": "trials in the order of the plan",
        "steps": "training steps that were kept",
        "seconds": "device-seconds of the kept steps",
    }
)


@dataclass(frozen=True, kw_only=True)
class Brackets:
    """The replayed brackets of one search; B brackets of b trials, in order."""

    values: Floats  # (B, b) mIoU in percent of complete trials, -inf of the others
    offsets: Mapping[str, Floats]  # axis -> (B, b) when a value came, from the bracket's start
    lengths: Mapping[str, Floats]  # axis -> (B,) what the whole bracket took


def replay(
    trials: pd.DataFrame, rungs: pd.DataFrame, plan: BracketPlan, budget: int | None = None
) -> dict[str, list[Brackets]]:
    """Return the whole brackets of every method's searches, replayed; searches without are absent.

    `budget` is as for `whole_brackets`. Steps and seconds lost with a worker do not count.
    """
    whole = whole_brackets(trials, plan, budget)
    values = _rung_values(whole, rungs, plan)
    found: dict[str, list[Brackets]] = {}
    for (method, _), search in whole.groupby(SEARCH):
        own = values[search.index.to_numpy()]
        found.setdefault(str(method), []).append(_replay_search(search, own, plan))
    return found


def _rung_values(whole: pd.DataFrame, rungs: pd.DataFrame, plan: BracketPlan) -> Floats:
    """Return (trials, rungs) values, NaN where a rung was not reached."""
    key = [*SEARCH, "number"]
    wide = rungs.pivot(index=key, columns="rung", values="score")
    index = pd.MultiIndex.from_frame(whole[key])
    levels = range(len(plan.rung_steps))
    return wide.reindex(index=index, columns=levels).to_numpy(dtype=np.float64)


def _replay_search(search: pd.DataFrame, values: Floats, plan: BracketPlan) -> Brackets:
    numbers = search["number"].to_numpy()
    trained = _trained(numbers, values, plan)
    shape = (-1, plan.bracket, len(plan.rung_steps))
    is_final = trained[:, -1] & (search["state"] == "COMPLETE").to_numpy()
    final = np.where(is_final & np.isfinite(values[:, -1]), values[:, -1], -np.inf)
    steps = _steps(search["trained_steps"].to_numpy(dtype=np.float64), trained, plan)
    offsets, lengths = {}, {}
    for axis, costs in {"steps": steps, "seconds": steps * _seconds_per_step(search)}.items():
        offsets[axis], lengths[axis] = _arrivals(costs.reshape(shape))
    offsets["trials"] = np.tile(np.arange(1.0, plan.bracket + 1), (len(search) // plan.bracket, 1))
    lengths["trials"] = offsets["trials"][:, -1]
    return Brackets(values=final.reshape(shape[:2]), offsets=offsets, lengths=lengths)


def _trained(
    numbers: np.ndarray[Any, np.dtype[np.int64]], values: Floats, plan: BracketPlan
) -> Flags:
    """Return (trials, rungs): whether the plan lets a trial train towards that rung."""
    trained = np.zeros(values.shape, dtype=bool)
    trained[:, 0] = True
    is_anchor = numbers < plan.anchors
    for first in range(0, len(numbers), plan.bracket):
        rows = np.arange(first, first + plan.bracket)
        index = int(numbers[first]) // plan.bracket
        for rung in range(values.shape[1] - 1):
            reached = rows[trained[rows, rung] & np.isfinite(values[rows, rung])]
            judged = {int(row): float(values[row, rung]) for row in reached[~is_anchor[reached]]}
            trained[reached[is_anchor[reached]], rung + 1] = True
            trained[plan.promoted(index, rung, judged), rung + 1] = True
    return trained


def _seconds_per_step(search: pd.DataFrame) -> Floats:
    """Return (trials, 1) device-seconds of a kept step; 0 where none was kept."""
    seconds, steps = search["device_seconds"], search["trained_steps"]
    return (seconds / steps.where(steps > 0)).fillna(0.0).to_numpy(dtype=np.float64)[:, None]


def _steps(ends: Floats, trained: Flags, plan: BracketPlan) -> Floats:
    """Return (trials, rungs) steps trained towards each rung, given where each trial ended."""
    stops = np.asarray(plan.rung_steps, dtype=np.float64)
    starts = np.concatenate([[0.0], stops[:-1]])
    return np.where(trained, np.clip(ends[:, None] - starts, 0.0, stops - starts), 0.0)


def _arrivals(costs: Floats) -> tuple[Floats, Floats]:
    """Return (B, b) when each trial's last part ends and (B,) the whole, of (B, b, rungs) costs."""
    in_order = costs.transpose(0, 2, 1).reshape(len(costs), -1)
    passed = np.cumsum(in_order, axis=1)
    return passed[:, -costs.shape[1] :], passed[:, -1]
