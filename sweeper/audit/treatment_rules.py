"""Are all methods searched alike? Baseline, budget, dimensions, ranges, points to start from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import pandas as pd

from sweeper.audit.finding import CheckResult
from sweeper.audit.scope import (
    chosen,
    counted,
    of_trials,
    rows_of,
    searches_of,
    shortened,
    undecided,
)
from sweeper.comparison.evidence import Evidence
from sweeper.comparison.searches import spaces_of
from sweeper.core.constants import BASELINE, num_searches
from sweeper.core.names import search_name
from sweeper.search.space import EFFECT, Dimension, Space

MULTIPLIER = "multiplier"
ROUNDING = 6e-3  # relative: the multiplier of equal effect is stored in three digits
EXACT = 1e-9  # relative: a number that has been through text


def check_baseline(evidence: Evidence) -> CheckResult:
    """The baseline is a method, searched as often as the others ask for."""
    studies = evidence.compared_studies
    searches = Counter(str(method) for method in studies["method"])
    repeats = max((n for method, n in searches.items() if method != BASELINE), default=1)
    faults = [
        f"{method}: {counted(searches.get(method, 0), 'search')} instead of {wanted}"
        for method in dict.fromkeys((BASELINE, *searches))
        if searches.get(method, 0) != (wanted := num_searches(method, repeats))
    ]
    seen = f"baseline {searches.get(BASELINE, 0)}, other methods {counted(repeats, 'search')} each"
    return _final(evidence, seen, faults)


def check_budget(evidence: Evidence) -> CheckResult:
    """Whole brackets, all decided, with one allowance for all."""
    studies, brackets = evidence.compared_studies, evidence.budget // evidence.plan.bracket
    if not evidence.budget:
        return CheckResult(seen=counted(len(studies), "search"), awaits=undecided(evidence))
    plan = evidence.plan
    wanted = {index: plan.planned_steps(index) for index in range(brackets)}
    trials = evidence.trials[evidence.trials["number"] < evidence.budget]
    tried = dict(iter(trials.groupby("study_id")))
    faults = [
        fault
        for row in rows_of(studies)
        for fault in _budget_faults(
            evidence, row, tried.get(row["study_id"], trials.iloc[:0]), wanted
        )
    ]
    seen = f"{evidence.budget} trials in {counted(brackets, 'bracket')}, {sum(wanted.values()):,} "
    return CheckResult(
        seen=f"{seen}steps allowed, in each of {len(studies)} searches", faults=faults
    )


def check_dimensions(evidence: Evidence) -> CheckResult:
    """The shared dimensions, one multiplier, at most one of the method's own."""
    shared = evidence.protocol["shared"]
    spaces = {search_name(*key): space for key, space in _spaces(evidence).items()}
    is_full = evidence.protocol["space"] == "full"
    faults = [fault for name, space in spaces.items() for fault in _strange(name, space, shared)]
    for name, space in spaces.items():
        own = [d.name for d in space.dimensions if d.name not in {*shared, MULTIPLIER}]
        if len(own) > 1 and not is_full:
            faults.append(f"{name}: {len(own)} hyperparameters of its own ({', '.join(own)})")
    counts = sorted({len(space.dimensions) for space in spaces.values()})
    full = f"searched over full spaces, of {counts[0]} to {counts[-1]} dimensions" if counts else ""
    return CheckResult(
        seen=f"shared: {', '.join(shared)}; dimensions: {', '.join(map(str, counts))}",
        faults=faults,
        remarks=[full] if is_full else [],
    )


def check_ranges(evidence: Evidence) -> CheckResult:
    """The multiplier's range follows from the measured effect, and trials lie in their ranges."""
    studies = evidence.compared_studies
    terms = [row for row in rows_of(studies) if _multiplier(row) is not None]
    unmeasured = {row["study_id"]: row["name"] for row in terms if not _has_calibration(row)}
    tried = evidence.trials[evidence.trials["study_id"].isin(studies["study_id"])]
    begun = {unmeasured.pop(key) for key in set(tried["study_id"]) & unmeasured.keys()}
    faults = [fault for row in terms for fault in _effect_faults(row)]
    faults += _measured_twice(terms)
    faults += [f"{name}: searched without a calibration" for name in sorted(begun)]
    faults += [f"{name} lies outside its ranges" for name in _outside(evidence, tried)]
    seen = f"{counted(len(terms), 'search')} with a multiplier; {counted(len(tried), 'trial')}"
    awaits = f"effect not measured yet: {shortened(unmeasured.values())}" if unmeasured else ""
    return CheckResult(seen=seen, faults=faults, awaits=awaits)


def check_start(evidence: Evidence) -> CheckResult:
    """Trial 0 is published; the other trials of bracket 0 share their shared dimensions."""
    trials = evidence.trials[
        evidence.trials["study_id"].isin(evidence.compared_studies["study_id"])
    ]
    first = trials[trials["number"] < evidence.plan.bracket]
    spaces = _spaces(evidence)
    wanted: dict[tuple[int, int], Mapping[str, float]] = {}
    wrong = []
    for row in rows_of(first):
        space = spaces[row["method"], row["repeat"]]
        point = {name: row["params"].get(name) for name in evidence.protocol["shared"]}
        if row["number"] == 0:
            wrong.append(row["origin"] != "published" or not _equal(row["params"], space.published))
            continue
        expected = wanted.setdefault((row["repeat"], row["number"]), point)
        wrong.append(row["origin"] != "sobol" or not _equal(point, expected))
    faults = [f"{name} starts elsewhere" for name in of_trials(evidence, chosen(first, wrong))]
    awaits = "" if len(first) else "no trial is planned yet"
    return CheckResult(
        seen=f"{counted(len(first), 'trial')} of first brackets", faults=faults, awaits=awaits
    )


def _final(evidence: Evidence, seen: str, faults: Sequence[str]) -> CheckResult:
    """Return faults as such once the sweep is confirmed; before, they can be mended."""
    if evidence.stages:
        return CheckResult(seen=seen, faults=faults)
    return CheckResult(seen=seen, awaits=", ".join(faults))


def _budget_faults(
    evidence: Evidence,
    search: Mapping[str, Any],
    trials: pd.DataFrame,
    wanted: Mapping[int, int],
) -> Iterator[str]:
    name = search["name"]
    decided = trials[trials["state"] != "RUNNING"]
    if list(decided["number"]) != list(range(evidence.budget)):
        yield f"{name}: {len(decided)} of {evidence.budget} trials are decided"
    if (trials["bracket"] != trials["number"] // evidence.plan.bracket).any():
        yield f"{name}: trials stand in other brackets than planned"
    allowances = evidence.allowances
    rows = allowances[allowances["study_id"] == search["study_id"]]
    allowed = dict(zip(rows["index"], rows["planned_steps"], strict=True))
    for index, steps in wanted.items():
        if allowed.get(index) != steps:
            yield f"{name}: bracket {index} was allowed {allowed.get(index)} steps, not {steps}"
    trained = int(trials["trained_steps"].sum())
    if trained > sum(wanted.values()):
        yield f"{name}: trained {trained} steps of the {sum(wanted.values())} allowed"


def _spaces(evidence: Evidence) -> dict[tuple[str, int], Space]:
    return spaces_of(evidence.compared_studies)


def _strange(name: str, space: Space, shared: Mapping[str, Any]) -> Iterator[str]:
    """Yield how a space's shared dimensions differ from the protocol's."""
    given = {d.name: {"low": d.low, "high": d.high, "log": d.log} for d in space.dimensions}
    for dimension, limits in shared.items():
        if given.get(dimension) != limits:
            yield f"{name}: another range of {dimension}"


def _multiplier(search: Mapping[str, Any]) -> Dimension | None:
    """Return the multiplier as the search has frozen it, in units of the effect."""
    dimensions = Space.model_validate(search["space"]).dimensions
    return next((d for d in dimensions if d.name == MULTIPLIER), None)


def _has_calibration(search: Mapping[str, Any]) -> bool:
    return isinstance(search["calibration"], dict)


def _effect_faults(search: Mapping[str, Any]) -> Iterator[str]:
    name, multiplier = search["name"], _multiplier(search)
    if multiplier is None:
        return
    if (multiplier.by_effect, multiplier.low, multiplier.high) != (True, EFFECT.low, EFFECT.high):
        yield f"{name}: its range of m is not {EFFECT.low:g} to {EFFECT.high:g} x equal effect"
    if not _has_calibration(search):
        return
    calibration = search["calibration"]
    measured = 1 / median(calibration["gradient_ratios"])
    if not math.isclose(calibration["equal"], measured, rel_tol=ROUNDING):
        equal = calibration["equal"]
        yield f"{name}: m1 = {equal:g}, but its gradient-norm ratios give {measured:g}"


def _measured_twice(searches: Sequence[Mapping[str, Any]]) -> list[str]:
    found: dict[str, set[float]] = {}
    for row in searches:
        if _has_calibration(row):
            found.setdefault(row["method"], set()).add(float(row["calibration"]["equal"]))
    return [f"{method}: its searches have several m1" for method, m in found.items() if len(m) > 1]


def _outside(evidence: Evidence, trials: pd.DataFrame) -> list[str]:
    """Return the trials, trial 0 aside, that lie outside the ranges of their known space."""
    spaces = {k: _wider(s) for k, s in _spaces(evidence).items() if not s.awaits_calibration}
    names = {key: space.published.keys() for key, space in spaces.items()}
    columns = zip(searches_of(trials), trials["number"], trials["params"], strict=True)
    is_outside = [
        search in spaces
        and not (params.keys() == names[search] and (number == 0 or spaces[search].holds(params)))
        for search, number, params in columns
    ]
    return of_trials(evidence, chosen(trials, is_outside))


def _wider(space: Space) -> Space:
    """Return the space with room for the last digit of a number."""
    wider = tuple(
        d.model_copy(
            update={"low": d.low - abs(d.low) * EXACT, "high": d.high + abs(d.high) * EXACT}
        )
        for d in space.dimensions
    )
    return space.model_copy(update={"dimensions": wider})


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        math.isclose(one[name], other[name], rel_tol=EXACT) for name in one
    )
