"""Searches as data frames hold them: their spaces, and which of their trials may be compared."""

from __future__ import annotations

import pandas as pd

from sweeper.search.brackets import BracketPlan
from sweeper.search.space import Space, known_space

SEARCH = ["method", "repeat"]  # what names one search in every data frame
DIVERGED = 0.0  # mIoU in percent that a diverged trial ends with: the least there is


def spaces_of(studies: pd.DataFrame) -> dict[tuple[str, int], Space]:
    """Return the space of every search, by method and repeat, with its calibrated ranges if any."""
    return {
        (str(row["method"]), int(row["repeat"])): known_space(
            row["space"], row["calibration"] if isinstance(row["calibration"], dict) else None
        )
        for row in studies.to_dict("records")
    }


def whole_brackets(
    trials: pd.DataFrame, plan: BracketPlan, budget: int | None = None
) -> pd.DataFrame:
    """Return the trials of whole, decided brackets, sorted by method, repeat and number.

    `budget` is the number of trials a search that are compared; None compares all there are. A
    bracket with an undecided trial is left out: its best would be a matter of who came first.
    """
    counted = trials if budget is None else trials[trials["number"] < budget]
    decided = counted[counted["state"] != "RUNNING"]
    sizes = decided.groupby([*SEARCH, "bracket"])["number"].transform("count")
    return decided[sizes == plan.bracket].sort_values([*SEARCH, "number"], ignore_index=True)


def complete_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that trained to the end: only they can be best."""
    return trials[(trials["state"] == "COMPLETE") & trials["score"].notna()]


def best_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the best complete trial of every search that has one; ties go to the lower number."""
    ranked = complete_trials(trials).sort_values(
        [*SEARCH, "score", "number"], ascending=[True, True, False, True]
    )
    return ranked.drop_duplicates(SEARCH).reset_index(drop=True)


def ended_anchors(trials: pd.DataFrame, plan: BracketPlan) -> pd.DataFrame:
    """Return the anchors that are complete or diverged, with their last value as column `final`.

    A diverged one counts as 0, and so ranks last as in the search. A failed or undecided one says
    nothing about its hyperparameters and is left out.
    """
    anchors = trials[trials["number"] < plan.anchors]
    ended = anchors[(anchors["state"] == "COMPLETE") | anchors["diverged"].astype(bool)]
    final = ended["score"].where(ended["state"] == "COMPLETE", DIVERGED)
    return ended.assign(final=final.astype(float))
