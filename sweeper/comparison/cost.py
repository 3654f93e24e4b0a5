"""What a method's search cost: steps from the ledger, and the seconds that they are worth."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

LEDGER = ["trained_steps", "wasted_steps", "device_seconds", "wasted_seconds"]


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
