"""Whether the search planned what its log says: every plan made once more, from the same log."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd

from sweeper.audit.finding import CheckResult
from sweeper.audit.scope import counted, of_trials, rows_of
from sweeper.comparison.evidence import Evidence
from sweeper.comparison.searches import SEARCH, spaces_of
from sweeper.search.space import Space
from sweeper.search.trials import PastTrial, PlannedTrial
from trainers.runtime.processor import processor

SAMPLER = ("optuna", "numpy", "scipy")  # whose versions decide on the digits of a proposal
EXACT = 1e-9  # relative: a number that has been through text


def check_proposals(evidence: Evidence) -> CheckResult:
    """Start-up points and TPE's proposals are those that the log leads to, trial by trial.

    Another processor, or another version of what TPE computes with, may propose something else
    from the same log: what differs there is said, and voids nothing.
    """
    trials = evidence.compared_trials
    spaces = spaces_of(evidence.compared_studies)
    wrong = [(row, fault) for row, fault in _replayed(evidence, trials, spaces) if fault]
    startup = [row for row, _ in wrong if row["number"] < evidence.plan.bracket]
    proposed = [row for row, _ in wrong if row["number"] >= evidence.plan.bracket]
    faults = _named(evidence, startup, "is not the start-up point of its number")
    remarks: list[str] = []
    elsewhere = _planned_elsewhere(evidence)
    if proposed and elsewhere:
        remarks.append(f"{counted(len(proposed), 'proposal')} cannot be replayed here: {elsewhere}")
    else:
        faults += _named(evidence, proposed, "is not what the sampler proposes")
    seen = f"{counted(len(trials), 'trial')} planned once more"
    awaits = "" if len(trials) else "no trial is planned yet"
    return CheckResult(seen=seen, faults=faults, remarks=remarks, awaits=awaits)


def _replayed(
    evidence: Evidence, trials: pd.DataFrame, spaces: Mapping[tuple[str, int], Space]
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield every trial with whether its plan is another than the log's."""
    from sweeper.search.sampler import plan_bracket  # loads optuna

    rungs = _rungs(evidence)
    for (method, repeat), rows in _by_search(trials):
        space, plan = spaces[method, repeat], evidence.plan
        history: list[PastTrial] = []
        for first in range(0, len(rows), plan.bracket):
            bracket = rows[first : first + plan.bracket]
            planned = plan_bracket(space, plan, history, seed=evidence.seed, repeat=repeat)
            for row, wanted in zip(bracket, planned, strict=False):
                yield row, not _is_same(row, wanted)
            if any(row["params"].keys() != space.published.keys() for row in bracket):
                break  # nothing can be planned from trials of another space
            history += [
                _past(row, rungs.get((row["study_id"], row["number"]), {})) for row in bracket
            ]


def _by_search(trials: pd.DataFrame) -> Iterator[tuple[tuple[str, int], list[dict[str, Any]]]]:
    """Yield method and repeat with the trials of that search, in the order of the plan."""
    ordered = rows_of(trials.sort_values([*SEARCH, "number"]))
    for key, rows in groupby(ordered, key=itemgetter(*SEARCH)):
        yield key, list(rows)


def _rungs(evidence: Evidence) -> dict[tuple[int, int], dict[int, float]]:
    """Return step -> mIoU of each trial, by study and number."""
    reached: dict[tuple[int, int], dict[int, float]] = {}
    for row in rows_of(evidence.rungs[["study_id", "number", "step", "score"]]):
        reached.setdefault((row["study_id"], row["number"]), {})[row["step"]] = row["score"]
    return reached


def _past(row: Mapping[str, Any], rungs: Mapping[int, float]) -> PastTrial:
    value = None if math.isnan(row["score"]) else float(row["score"])
    return PastTrial(
        params=row["params"],
        state=row["state"],
        score=value,
        rungs=rungs,
        diverged=bool(row["diverged"]),
    )


def _is_same(row: Mapping[str, Any], planned: PlannedTrial) -> bool:
    params = row["params"]
    return (
        (row["number"], row["origin"]) == (planned.number, planned.origin)
        and params.keys() == planned.params.keys()
        and all(math.isclose(params[n], v, rel_tol=EXACT) for n, v in planned.params.items())
    )


def _planned_elsewhere(evidence: Evidence) -> str:
    """Return what of the machine here differs from those of the launches, empty if nothing does."""
    known = [row["provenance"] for row in rows_of(evidence.launches)]
    processors = {str(each.get("processor")) for each in known}
    if processors != {processor()}:
        return f"it was planned on {', '.join(sorted(processors))}, this is {processor()}"
    for name in SAMPLER:
        versions = {str((each.get("packages") or {}).get(name)) for each in known}
        if versions != {version(name)}:
            return f"it was planned with {name} {', '.join(sorted(versions))}, not {version(name)}"
    return ""


def _named(evidence: Evidence, rows: list[dict[str, Any]], fault: str) -> list[str]:
    if not rows:
        return []
    return [f"{name} {fault}" for name in of_trials(evidence, pd.DataFrame(rows))]
