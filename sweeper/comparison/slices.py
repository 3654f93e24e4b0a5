"""Every trial of a search along each of its hyperparameters, the published value marked."""

from __future__ import annotations

import pandas as pd

from sweeper.comparison.searches import SEARCH, spaces_of

TRIAL = [*SEARCH, "number", "origin", "state", "diverged", "miou"]
COLUMNS = [*TRIAL, "hyperparameter", "value", "is_published", "published", "low", "high", "log"]


def slices(trials: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Return a row a trial and hyperparameter.

    Columns: method, repeat, number, origin, state, diverged, miou (NaN where none; a PRUNED trial's
    is that of the rung it stopped at, not comparable with a COMPLETE one's), hyperparameter, value,
    is_published (this is trial 0, at published values), and of the hyperparameter its published
    value, low, high and log (searched in the logarithm).
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
    return points.merge(ranges, on=[*SEARCH, "hyperparameter"], how="left")[COLUMNS]
