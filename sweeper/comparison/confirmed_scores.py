"""The numbers that the test compares: one a fresh seed, or one an independent search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweeper.comparison.evidence import Evidence, Stage
from sweeper.core.constants import BASELINE, USUAL_SD
from sweeper.core.names import search_name, search_of

Values = NDArray[np.float64]
LEAST_SEARCHES = 3  # of a method, for a claim about the method


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one stage says: methods' values in one order of seeds, NaN where there is none."""

    stage: Stage
    control: Values
    treatments: dict[str, Values]


def confirmed_runs(evidence: Evidence) -> pd.DataFrame:
    """Return one row a confirmation: method, repeat, configuration, stage, seed, score, state, key.

    Where a search's best trial is its published one, its run stands for both configurations.
    """
    runs = evidence.confirmations
    chosen = {stage.number: stage.incumbents for stage in evidence.stages}
    stands_for_both = [
        row["configuration"] == "published"
        and chosen[row["stage"]].get(search_name(row["method"], row["repeat"])) == 0
        for row in runs.to_dict("records")
    ]
    copies = runs[np.array(stands_for_both, dtype=bool)].assign(configuration="tuned")
    return pd.concat([runs, copies], ignore_index=True)


def seed_sds(runs: pd.DataFrame) -> tuple[dict[str, float], float]:
    """Return each method's standard deviation between its tuned runs, and what is usual, in mIoU.

    A method with fewer than two runs has none; usual is the median of those there are.
    """
    tuned = runs[runs["configuration"] == "tuned"].groupby("method")["score"]
    sds = {str(method): float(sd) for method, sd in tuned.std().dropna().items()}
    return sds, median(sds.values()) if sds else USUAL_SD


def samples(evidence: Evidence, runs: pd.DataFrame) -> list[Sample]:
    """Return the values of every stage that is done: the tuned configurations'."""
    tuned = runs[(runs["configuration"] == "tuned")]
    return [
        _sample(evidence, stage, tuned[tuned["stage"] == stage.number])
        for stage in evidence.stages
        if stage.is_done
    ]


def num_searches(evidence: Evidence) -> int:
    """Return how many searches of each method but the baseline are compared."""
    if evidence.stages:
        chosen = Counter(search_of(name)[0] for name in evidence.stages[0].incumbents)
        return min((n for method, n in chosen.items() if method != BASELINE), default=1)
    others = evidence.studies[evidence.studies["method"] != BASELINE]
    return int(others.groupby("method").size().min()) if len(others) else 1


def _sample(evidence: Evidence, stage: Stage, runs: pd.DataFrame) -> Sample:
    by_search = num_searches(evidence) > 1
    failed = set(runs.loc[runs["state"] == "FAIL", "method"])  # a part of a sample is another one
    values = {
        method: _means(part) if by_search else _by_seed(part, _seeds(runs))
        for method, part in runs.groupby("method", sort=False)
        if method not in failed
    }
    control = values.pop(BASELINE, np.empty(0))
    treatments = {str(method): values[method] for method in stage.methods if method in values}
    return Sample(stage=stage, control=control, treatments=treatments)


def _seeds(runs: pd.DataFrame) -> list[int]:
    """Return the stage's seeds in the order of its list, which the baseline runs through."""
    return [int(seed) for seed in runs.sort_values("number")["seed"].unique()]


def _by_seed(runs: pd.DataFrame, seeds: Sequence[int]) -> Values:
    known = dict(zip(runs["seed"], runs["score"], strict=True))
    return np.array([known.get(seed, np.nan) for seed in seeds], dtype=float)


def _means(runs: pd.DataFrame) -> Values:
    means = runs.groupby("repeat")["score"].mean()
    values: Values = means.reindex(range(1, int(runs["repeat"].max()) + 1)).to_numpy(dtype=float)
    return values
