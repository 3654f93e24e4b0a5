"""Which part of the evidence the comparison rests on, and what it still lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, cast

import pandas as pd

from sweeper.comparison.evidence import Evidence
from sweeper.comparison.searches import SEARCH, whole_brackets
from sweeper.core.names import search_name, trial_name

SHOWN = 4  # names in a list that may be long


def whole_trials(evidence: Evidence) -> pd.DataFrame:
    """Return the trials of whole brackets within the compared budget, of compared methods."""
    return whole_brackets(evidence.compared_trials, evidence.plan, evidence.budget)


def rungs_of(evidence: Evidence, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rungs that these trials reached."""
    key = [*SEARCH, "number"]
    return evidence.rungs.merge(trials[key], on=key)


def searches_of(frame: pd.DataFrame) -> list[tuple[str, int]]:
    """Return method and repeat of every row."""
    return list(zip(frame["method"].tolist(), frame["repeat"].tolist(), strict=True))


def unconfirmed(evidence: Evidence) -> str:
    """Return what confirmation is lacking, empty when all declared ones are done."""
    if not evidence.stages:
        return f"no confirmation yet: sweeper confirm {evidence.name}"
    running = evidence.confirmations[evidence.confirmations["state"] == "RUNNING"]
    if running.empty:
        return ""
    return f"{len(running)} of {len(evidence.confirmations)} confirmations are still to run"


def undecided(evidence: Evidence) -> str:
    """Return what the searches lack before any of it can be compared, empty when nothing."""
    if evidence.budget:
        return ""
    decided = evidence.trials[evidence.trials["state"] != "RUNNING"].groupby("study_id").size()
    far = [
        f"{row['name']} {decided.get(row['study_id'], 0)} of {row['budget']}"
        for row in rows_of(evidence.compared_studies)
    ]
    return f"no bracket is decided in every search yet: {shortened(far)}"


def of_trials(evidence: Evidence, trials: pd.DataFrame) -> list[str]:
    """Return the names of trials, as `sweeper show` takes them."""
    keys = zip(searches_of(trials), trials["number"], strict=True)
    return [trial_name(evidence.name, *search, number) for search, number in keys]


def of_runs(confirmations: pd.DataFrame) -> list[str]:
    """Return the names of confirmations: stage, search, configuration, seed."""
    return [
        f"stage {row['stage']} {search_name(row['method'], row['repeat'])} "
        f"{row['configuration']} seed {row['seed']}"
        for row in rows_of(confirmations)
    ]


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a data frame by the names of its columns."""
    return cast("list[dict[str, Any]]", frame.to_dict("records"))


def chosen(frame: pd.DataFrame, flags: Sequence[bool]) -> pd.DataFrame:
    """Return the rows whose flag is set, in a frame without rows as well."""
    return frame[pd.Series(flags, index=frame.index, dtype=bool)]


def shortened(names: Iterable[str]) -> str:
    """Return the first few of some names, with a sign where there are more."""
    given = iter(names)
    return ", ".join(islice(given, SHOWN)) + (", ..." if next(given, None) is not None else "")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: 1 trial, 2 trials."""
    plural = noun if number == 1 else f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number:,} {plural}"
