"""Tables of what was searched and confirmed: classes, slices of the search spaces, costs."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from sweeper.comparison.evidence import Evidence
from sweeper.comparison.searches import SEARCH, spaces_of
from sweeper.core.constants import BASELINE

CLASS_COLUMNS = ["method", "class", "baseline", "score", "difference"]
TRIAL = [*SEARCH, "number", "origin", "state", "diverged", "score"]
SLICE_COLUMNS = [
    *TRIAL,
    "hyperparameter",
    "value",
    "is_published",
    "published",
    "low",
    "high",
    "log",
]
LEDGER = ["trained_steps", "wasted_steps", "device_seconds", "wasted_seconds"]


def class_differences(evidence: Evidence, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean IoU of every class of the tuned runs, beside the baseline's; in percent.

    Classes without a pixel in the reported split are left out.
    """
    done = runs[(runs["configuration"] == "tuned") & (runs["state"] == "COMPLETE")]
    if done.empty or not evidence.stages:
        return pd.DataFrame(columns=CLASS_COLUMNS)
    classes = evidence.stages[0].classes
    values = pd.DataFrame(done["class_iou"].tolist(), columns=list(classes), dtype=float)
    means = values.groupby(done["method"].to_numpy()).mean().dropna(axis="columns")
    if BASELINE not in means.index:
        return pd.DataFrame(columns=CLASS_COLUMNS)
    baseline = means.to_dict("index")[BASELINE]
    rows = [
        (method, name, baseline[name], of_class[name], of_class[name] - baseline[name])
        for method, of_class in means.to_dict("index").items()
        for name in means.columns
    ]
    return pd.DataFrame(rows, columns=CLASS_COLUMNS)


def slices(trials: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Return a row a trial and hyperparameter.

    Columns: method, repeat, number, origin, state, diverged, score (NaN where none; a PRUNED
    trial's is that of the rung it stopped at, not comparable with a COMPLETE one's),
    hyperparameter, value, is_published (this is trial 0, at published values), and of the
    hyperparameter its published value, low, high and log (searched in the logarithm).
    """
    ranges = pd.DataFrame(
        [
            {"method": method, "repeat": repeat, "hyperparameter": dimension.name}
            | dimension.model_dump(include={"published", "low", "high", "log"})
            for (method, repeat), space in spaces_of(studies).items()
            for dimension in space.dimensions
        ],
        columns=[*SEARCH, "hyperparameter", "published", "low", "high", "log"],
    )
    points = trials[TRIAL].assign(
        hyperparameter=trials["params"].map(list),
        value=trials["params"].map(lambda params: list(params.values())),
    )
    points = points.explode(["hyperparameter", "value"], ignore_index=True)
    points = points.assign(
        value=points["value"].astype(float), is_published=points["origin"] == "published"
    )
    return points.merge(ranges, on=[*SEARCH, "hyperparameter"], how="left")[SLICE_COLUMNS]


def search_costs(
    trials: pd.DataFrame, reference: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return the cost of every method over all of its searches, a row a method.

    `reference` holds seconds per step of a method (solo, warm, the median of 50 steps, one named
    device). Columns: method, searches, trials, the LEDGER's, measured_per_step (device-seconds per
    kept step), reference_per_step (NaN where not given), and what is to be shown: per_step, seconds
    (kept steps x per_step) and basis, `reference` or `measured`. Measured seconds depend on the
    device and on who shared it: two methods' are comparable on one basis only.
    """
    groups = trials.groupby("method")
    costs = (
        groups[LEDGER]
        .sum()
        .assign(searches=groups["repeat"].nunique(), trials=groups["number"].count())
        .reset_index()
    )
    measured = costs["device_seconds"] / costs["trained_steps"].where(costs["trained_steps"] > 0)
    given = costs["method"].map(dict(reference or {})).astype(float)
    per_step = given.fillna(measured)
    return costs[["method", "searches", "trials", *LEDGER]].assign(
        measured_per_step=measured,
        reference_per_step=given,
        per_step=per_step,
        seconds=per_step * costs["trained_steps"],
        basis=given.isna().map({True: "measured", False: "reference"}),
    )
