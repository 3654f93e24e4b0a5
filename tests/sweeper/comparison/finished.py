"""Searches made up as data frames: a plan carried out by the letter, with any value function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sweeper.search.brackets import BracketPlan
from sweeper.search.space import Dimension, Space

PLAN = BracketPlan(bracket=8, rung_steps=(10, 30, 90), keep=(8, 4, 2), anchors=4)
SPACE = Space(
    method="any",
    dimensions=(
        Dimension(name="learning_rate", low=0.001, high=1.0, log=True, published=0.1, column=0),
        Dimension(name="threshold", low=0.0, high=1.0, log=False, published=0.7, column=9),
    ),
)
Value = Callable[[str, int, int], float]  # of a method, a trial's number and a step
KEY = ["study_id", "method", "repeat", "number", "bracket"]
SPENT = ["step", "trained_steps", "wasted_steps", "device_seconds", "wasted_seconds"]
TRIALS = [*KEY, "origin", "state", "diverged", "score", "params", *SPENT, "finished_at"]
RUNGS = [*KEY, "rung", "step", "score", "class_iou"]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The three data frames."""

    trials: pd.DataFrame
    rungs: pd.DataFrame
    studies: pd.DataFrame


def carry_out(
    value: Value,
    methods: tuple[str, ...] = ("baseline", "kd"),
    brackets: int = 2,
    repeats: int = 1,
    ended: Mapping[tuple[str, int], tuple[str, int]] | None = None,
    plan: BracketPlan = PLAN,
) -> Finished:
    """Return finished searches.

    `ended` holds of (method, number) how it ended before its time, `diverged`, `failed` or
    `undecided`, and at which step.
    """
    trials: list[dict[str, Any]] = []
    rungs: list[dict[str, Any]] = []
    studies: list[dict[str, Any]] = []
    for study_id, (method, repeat) in enumerate(
        (method, repeat) for method in methods for repeat in range(1, repeats + 1)
    ):
        key = {"study_id": study_id, "method": method, "repeat": repeat}
        studies.append(_study(key))
        for number in range(brackets * plan.bracket):
            trials.append(_trial({**key, "number": number}, plan))
        for index in range(brackets):
            own = {row["number"]: row for row in trials[-brackets * plan.bracket :]}
            rungs += _run_bracket([own[n] for n in plan.numbers(index)], value, plan, ended or {})
    return Finished(
        trials=pd.DataFrame(trials, columns=TRIALS),
        rungs=pd.DataFrame(rungs, columns=RUNGS),
        studies=pd.DataFrame(studies),
    )


def shuffled(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return the same rows in another order, under other labels: neither may matter."""
    return frame.sample(frac=1, random_state=seed)


def noise(seed: int = 0) -> Value:
    """Return a value function that is noise, the same for the same arguments."""

    def value(method: str, number: int, step: int) -> float:
        names = (seed, sum(map(ord, method)), number, step)
        return float(np.random.default_rng(names).uniform(30, 60))

    return value


def _study(key: Mapping[str, Any]) -> dict[str, Any]:
    more = {"space": SPACE.model_dump(mode="json"), "calibration": None, "dimensions": 2}
    return {**key, "state": "active", "reason": None, "budget": 16, **more}


def _trial(key: Mapping[str, Any], plan: BracketPlan) -> dict[str, Any]:
    number = key["number"]
    units = [(number * 0.618 + 0.1 * column) % 1 for column in range(10)]
    return {
        **key,
        "bracket": number // plan.bracket,
        "origin": "published" if number == 0 else "sobol" if number < plan.bracket else "tpe",
        "params": SPACE.published if number == 0 else SPACE.point(units),
        "state": "RUNNING",
        "diverged": False,
        "score": np.nan,
        "wasted_steps": 5,
        "wasted_seconds": 1.0,
        **_spent(key["method"], 0),
    }


def _spent(method: str, step: int) -> dict[str, float]:
    return {"step": step, "trained_steps": step, "device_seconds": step * len(method) / 10}


def _run_bracket(
    members: list[dict[str, Any]],
    value: Value,
    plan: BracketPlan,
    ended: Mapping[tuple[str, int], tuple[str, int]],
) -> list[dict[str, Any]]:
    """Train the trials of a bracket as the plan says, rung by rung; return the rungs reached."""
    reached = []
    going_on = members
    for rung, step in enumerate(plan.rung_steps):
        arrived = [row for row in going_on if not _ends_early(row, ended, step)]
        for row in arrived:
            row.update(_spent(row["method"], step), score=value(row["method"], row["number"], step))
            reached.append({**row, "rung": rung, "class_iou": []})
        going_on = _judge(arrived, rung, plan)
    return reached


def _ends_early(
    row: dict[str, Any], ended: Mapping[tuple[str, int], tuple[str, int]], step: int
) -> bool:
    how, when = ended.get((row["method"], row["number"]), ("", step))
    if not how or when >= step:
        return False
    state = {"diverged": "PRUNED", "failed": "FAIL", "undecided": "RUNNING"}[how]
    row.update(_spent(row["method"], when), state=state)
    if how == "diverged":
        row.update(diverged=True, score=np.nan)
    return True


def _judge(arrived: list[dict[str, Any]], rung: int, plan: BracketPlan) -> list[dict[str, Any]]:
    if rung == len(plan.rung_steps) - 1:
        for row in arrived:
            row["state"] = "COMPLETE"
        return []
    judged = [row for row in arrived if row["number"] >= plan.anchors]
    ranked = sorted(judged, key=lambda row: (-row["score"], row["number"]))
    index = _index_of(arrived, plan)
    for row in ranked[plan.places(index, rung + 1) :]:
        row["state"] = "PRUNED"
    return [row for row in arrived if row["state"] == "RUNNING"]


def _index_of(rows: list[dict[str, Any]], plan: BracketPlan) -> int:
    """Return the index of the bracket that these trials belong to."""
    return int(rows[0]["number"]) // plan.bracket if rows else 0
