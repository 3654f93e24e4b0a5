"""What a method changes class by class."""

from __future__ import annotations

import pandas as pd

from sweeper.comparison.evidence import Evidence
from sweeper.core.constants import BASELINE

COLUMNS = ["method", "class", "baseline", "miou", "difference"]


def class_differences(evidence: Evidence, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean IoU of every class of the tuned runs, beside the baseline's; in percent.

    Classes without a pixel in the reported split are left out.
    """
    done = runs[(runs["configuration"] == "tuned") & (runs["state"] == "COMPLETE")]
    if done.empty or not evidence.stages:
        return pd.DataFrame(columns=COLUMNS)
    classes = evidence.stages[0].classes
    values = pd.DataFrame(done["class_iou"].tolist(), columns=list(classes), dtype=float)
    means = values.groupby(done["method"].to_numpy()).mean().dropna(axis="columns")
    if BASELINE not in means.index:
        return pd.DataFrame(columns=COLUMNS)
    baseline = means.to_dict("index")[BASELINE]
    rows = [
        (method, name, baseline[name], of_class[name], of_class[name] - baseline[name])
        for method, of_class in means.to_dict("index").items()
        for name in means.columns
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
