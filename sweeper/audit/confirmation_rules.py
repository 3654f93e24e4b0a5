"""Whether the confirmations are what was declared: fresh, complete, read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from sweeper.audit.finding import CheckResult
from sweeper.audit.scope import (
    chosen,
    counted,
    of_runs,
    of_trials,
    rows_of,
    searches_of,
    shortened,
    unconfirmed,
    whole_trials,
)
from sweeper.comparison.evidence import Evidence, Stage
from sweeper.comparison.searches import best_trials
from sweeper.core.names import search_name, search_of
from sweeper.search.seeds import MOST_STAGES, Seeds, confirmation_seeds, training_seed

PUBLISHED, TUNED = "published", "tuned"
KEY = ["study_id", "number"]
FROZEN_TERMS = ("methods", "budget", "incumbents", "delta", "paired", "planned_stages")


def check_splits(evidence: Evidence) -> CheckResult:
    """No trial of a search was evaluated on the reported split."""
    parts = evidence.parts[evidence.parts["sweep_id"] == evidence.sweep_id]
    strange = parts[parts["trained_for"] != evidence.sweep_id]
    read = evidence.readings[evidence.readings["sweep_id"] == evidence.sweep_id]
    names = evidence.trials.merge(pd.concat([strange[KEY], read[KEY]]).drop_duplicates(), on=KEY)
    faults = [f"{name} was evaluated on the reported split" for name in of_trials(evidence, names)]
    seen = f"{counted(len(evidence.trials), 'trial')}, {counted(len(evidence.rungs), 'evaluation')}"
    awaits = "" if len(evidence.trials) else "no trial is planned yet"
    return CheckResult(seen=seen, faults=faults, awaits=awaits)


def check_both(evidence: Evidence) -> CheckResult:
    """Published and tuned values are both confirmed, with the parameters of their trials."""
    runs = evidence.confirmations.assign(search=_searches(evidence.confirmations))
    params, incumbents = _params(evidence), {s.number: s.incumbents for s in evidence.stages}
    wrong = [
        row["params"] != params.get((row["search"], _repeated(row, incumbents[row["stage"]])))
        for row in rows_of(runs)
    ]
    faults = [f"{name} has other parameters" for name in of_runs(chosen(runs, wrong))]
    for stage in evidence.stages:
        for search in stage.incumbents:
            is_own = (runs["stage"] == stage.number) & (runs["search"] == search)
            lacking = _configurations(stage, search) - set(runs[is_own]["configuration"])
            faults += [f"stage {stage.number} {search}: no {each} run" for each in sorted(lacking)]
    searches = counted(runs["search"].nunique(), "search")
    return CheckResult(
        seen=f"{searches}, {counted(len(runs), 'run')}", faults=faults, **_missing(evidence)
    )


def check_seeds(evidence: Evidence) -> CheckResult:
    """Confirmations use the sweep's list of fresh seeds, and were trained with them."""
    searched = {training_seed(evidence.seed, r) for r in set(evidence.studies["repeat"])}
    faults = []
    for stage in evidence.stages:
        own = evidence.confirmations[evidence.confirmations["stage"] == stage.number]
        most = max(stage.seeds, stage.baseline_seeds)
        listed = confirmation_seeds(evidence.seed, stage.number, most)
        strange = own[~own["seed"].isin(listed) | own["seed"].isin(searched)]
        faults += [f"{name} is not of the list" for name in of_runs(strange)]
        for _, group in own.groupby(["study_id", "configuration"]):
            if list(group["seed"]) != listed[: len(group)]:
                faults.append(f"{of_runs(group)[0]}: not in the order of the list")
    parts = evidence.parts[evidence.parts["sweep_id"] != evidence.sweep_id]
    otherwise = parts[parts["seed"] != parts["own_seed"]]
    runs = evidence.confirmations.merge(otherwise[KEY].drop_duplicates(), on=KEY)
    faults += [f"{name} was trained with another seed" for name in of_runs(runs)]
    fresh = evidence.confirmations["seed"].nunique()
    seen = f"{counted(fresh, 'fresh seed')}, {counted(len(evidence.confirmations), 'run')}"
    return CheckResult(seen=seen, faults=faults, **_missing(evidence))


def check_numbers(evidence: Evidence) -> CheckResult:
    """As many runs as were declared, of each configuration; none missing, none added."""
    runs = evidence.confirmations
    columns = (runs["stage"], _searches(runs), runs["configuration"])
    found = Counter(zip(*columns, strict=True))
    wanted = Counter({key: n for stage in evidence.stages for key, n in _declared(stage).items()})
    faults = [
        f"stage {key[0]} {key[1]} {key[2]}: {found[key]} runs instead of {wanted[key]}"
        for key in sorted(found.keys() | wanted.keys())
        if found[key] != wanted[key]
    ]
    failed = int((runs["state"] == "FAIL").sum())
    remarks = [f"{counted(failed, 'confirmation')} failed"] if failed else []
    terms = [
        f"stage {stage.number}: {stage.seeds} a configuration, {stage.baseline_seeds} of baseline's"
        for stage in evidence.stages
    ]
    return CheckResult(seen="; ".join(terms), faults=faults, remarks=remarks, **_missing(evidence))


def check_readings(evidence: Evidence) -> CheckResult:
    """The reported split was read once for each complete confirmation, and for no other."""
    runs = evidence.confirmations
    complete = runs[runs["state"] == "COMPLETE"]
    readings = evidence.readings[evidence.readings["sweep_id"] != evidence.sweep_id]
    parts = evidence.parts[evidence.parts["study_id"].isin(runs["study_id"])]
    last = parts[
        (parts["ending"] == "reached")
        & (parts["reached_step"] == evidence.plan.rung_steps[-1])
        & (parts["trained_for"] == parts["sweep_id"])
    ]
    keys = [tuple(key) for key in complete[KEY].to_numpy()]
    times = last.groupby(KEY).size().to_dict()
    read = {tuple(key) for key in readings[KEY].to_numpy()}
    wrong = [times.get(key, 0) != 1 or key not in read for key in keys]
    faults = [f"{name} was not read exactly once" for name in of_runs(chosen(complete, wrong))]
    strange = runs.merge(readings[KEY], on=KEY)
    strange = strange[strange["state"] != "COMPLETE"]
    faults += [f"{name} was read, but has no value" for name in of_runs(strange)]
    when = readings["recorded_at"]
    span = f", {when.min():%Y-%m-%d %H:%M} to {when.max():%Y-%m-%d %H:%M} UTC" if len(when) else ""
    seen = f"{counted(len(readings), 'reading')} for {counted(len(keys), 'complete run')}{span}"
    beside = (
        int((evidence.equal_cost_runs["state"] == "COMPLETE").sum()) if evidence.equal_cost else 0
    )
    seen += f"; beside them {counted(beside, 'run')} at equal cost, not tested" if beside else ""
    return CheckResult(seen=seen, faults=faults, **_missing(evidence))


def check_incumbents(evidence: Evidence) -> CheckResult:
    """What was confirmed is the best of the compared trials, chosen after all of them."""
    trials = whole_trials(evidence)
    best = best_trials(trials)
    found = dict(zip(_searches(best), best["number"], strict=True))
    faults = []
    for stage in evidence.stages:
        for search, number in stage.incumbents.items():
            if found.get(search) != number:
                faults.append(f"{search}: #{number} was confirmed, #{found.get(search)} is best")
        late = trials[pd.to_datetime(trials["finished_at"], utc=True) > stage.declared_at]
        faults += [f"{name} ended after the choice" for name in of_trials(evidence, late)]
    said = shortened(f"{search} #{number}" for search, number in found.items())
    return CheckResult(
        seen=f"best of {evidence.budget}: {said}", faults=faults, **_missing(evidence)
    )


def check_stages(evidence: Evidence) -> CheckResult:
    """At most two stages, the second on the terms of the first and begun after its end."""
    stages = evidence.stages
    numbers = [stage.number for stage in stages]
    faults = []
    if numbers != list(range(1, len(stages) + 1)) or len(stages) > MOST_STAGES:
        faults.append(f"stages {', '.join(map(str, numbers))} instead of 1 to {MOST_STAGES}")
    for first, second in zip(stages, stages[1:], strict=False):
        terms = [t for t in FROZEN_TERMS if getattr(first, t) != getattr(second, t)]
        if terms:
            faults.append(f"stage {second.number} changed {', '.join(terms)}")
        ended = evidence.confirmations[evidence.confirmations["stage"] == first.number]
        if (pd.to_datetime(ended["finished_at"], utc=True) > second.declared_at).any():
            faults.append(f"stage {second.number} was declared before the end of the first")
    is_late = bool(stages) and len(stages) > stages[0].planned_stages
    dates = [f"stage {s.number} declared {s.declared_at:%Y-%m-%d %H:%M} UTC" for s in stages]
    remarks = ["the second stage was declared after the first was seen"] if is_late else []
    return CheckResult(seen=", ".join(dates), faults=faults, remarks=remarks, **_missing(evidence))


def _missing(evidence: Evidence) -> dict[str, Any]:
    return {"awaits": unconfirmed(evidence)}


def _searches(frame: pd.DataFrame) -> list[str]:
    return [search_name(*key) for key in searches_of(frame)]


def _configurations(stage: Stage, search: str) -> set[str]:
    """Return what is confirmed of a search: published values belong to a method's first one."""
    if "@" in search:
        return {TUNED}
    return {PUBLISHED} | ({TUNED} if stage.incumbents[search] else set())


def _declared(stage: Stage) -> dict[tuple[int, str, str], int]:
    """Return (stage, search, configuration) -> how many runs were declared."""
    seeds = Seeds(method=stage.seeds, baseline=stage.baseline_seeds)
    return {
        (stage.number, search, configuration): seeds.of(search_of(search)[0])
        for search in stage.incumbents
        for configuration in _configurations(stage, search)
    }


def _repeated(run: Mapping[str, Any], incumbents: Mapping[str, int]) -> int | None:
    """Return the number of the trial that a confirmation repeats."""
    return 0 if run["configuration"] == PUBLISHED else incumbents.get(run["search"])


def _params(evidence: Evidence) -> dict[tuple[str, int | None], dict[str, float]]:
    """Return the parameters of trials that may have been confirmed, by search and number."""
    numbers = {0, *(number for stage in evidence.stages for number in stage.incumbents.values())}
    trials = evidence.trials[evidence.trials["number"].isin(numbers)]
    keys = zip(_searches(trials), trials["number"], strict=True)
    return dict(zip(keys, trials["params"], strict=True))
