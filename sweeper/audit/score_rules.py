"""Whether the values of the searches are what they claim to be, and were judged as planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd

from sweeper.audit.finding import CheckResult
from sweeper.audit.scope import (
    chosen,
    counted,
    of_trials,
    rows_of,
    rungs_of,
    searches_of,
    shortened,
    whole_trials,
)
from sweeper.comparison.confirmed_scores import confirmed_runs, seed_sds
from sweeper.comparison.evidence import Evidence
from sweeper.comparison.flags import edges, improvements
from sweeper.comparison.rung_check import check_rungs, summarise_rungs
from sweeper.comparison.searches import SEARCH, spaces_of, whole_brackets
from sweeper.core.names import search_name
from sweeper.search.brackets import BracketPlan
from sweeper.search.seeds import training_seed
from sweeper.store.log import FINAL_STATES

BRACKET = [*SEARCH, "bracket"]
TRIAL = ["study_id", "number"]
JUDGED = [*TRIAL, *BRACKET, "state", "step", "diverged"]


def check_last_step(evidence: Evidence) -> CheckResult:
    """A trial's value is that of its last rung; of a complete one, at the last step."""
    trials = evidence.trials[evidence.trials["state"].isin(["COMPLETE", "PRUNED"])]
    ended = trials[~trials["diverged"].astype(bool)].reset_index(drop=True)
    last = evidence.rungs.sort_values("rung").drop_duplicates(TRIAL, keep="last")
    last = last[[*TRIAL, "score", "step"]]
    found = ended.merge(last, on=TRIAL, how="left", suffixes=("", "_of_rung"))
    steps = evidence.plan.rung_steps
    is_value = (found["score"] == found["score_of_rung"]) & (found["step"] == found["step_of_rung"])
    is_last = (found["state"] == "PRUNED") | (found["step"] == steps[-1])
    wrong = found[~(is_value & is_last)]
    faults = [f"{name} has a value of another step" for name in of_trials(evidence, wrong)]
    diverged = evidence.trials[evidence.trials["diverged"].astype(bool)]
    valued = diverged[diverged["score"].notna()]
    faults += [f"{name} diverged and has a value" for name in of_trials(evidence, valued)]
    faults += _class_faults(evidence)
    seen = f"{counted(len(found), 'value')} of {counted(len(evidence.rungs), 'evaluation')}"
    return CheckResult(
        seen=seen, faults=faults, awaits="" if len(found) else "no trial has ended yet"
    )


def check_judging(evidence: Evidence) -> CheckResult:
    """Who went on from a rung follows from the values of its own bracket alone."""
    studies = evidence.studies
    going = studies[~studies["state"].isin(FINAL_STATES)]["study_id"]
    trials = evidence.trials[evidence.trials["study_id"].isin(going)]
    whole = whole_brackets(trials, evidence.plan)
    wrong = rows_of(_misjudged(whole, evidence.rungs, evidence.plan))
    groups = groupby(wrong, itemgetter(*BRACKET, "rung"))
    faults = [_misjudging(evidence.plan, place, rows) for place, rows in groups]
    brackets = len(whole) // evidence.plan.bracket
    seen = f"{counted(brackets, 'bracket')} judged again from their values"
    return CheckResult(
        seen=seen, faults=faults, awaits="" if brackets else "no bracket is decided yet"
    )


def check_rung_ranking(evidence: Evidence) -> CheckResult:
    """The rungs rank the anchors as the end does."""
    trials = whole_trials(evidence)
    checks = check_rungs(trials, rungs_of(evidence, trials), evidence.plan)
    if checks["tau"].notna().sum() == 0:
        return CheckResult(seen="", awaits="no anchors have come to their end yet")
    rows = rows_of(summarise_rungs(checks))
    said = [
        f"step {row['step']}: tau_b {row['tau']:.2f} "
        f"[{row['tau_low']:.2f}, {row['tau_high']:.2f}], regret {row['regret']:.2f}"
        for row in rows
    ]
    misleading = [f"the rung at step {row['step']} misleads" for row in rows if row["misleads"]]
    methods = max(row["methods"] for row in rows)
    return CheckResult(seen=f"{counted(methods, 'method')}; {'; '.join(said)}", faults=misleading)


def check_training_seeds(evidence: Evidence) -> CheckResult:
    """All trials of a repeat were trained with one seed, that of the repeat."""
    parts = evidence.parts[evidence.parts["sweep_id"] == evidence.sweep_id]
    wanted = {repeat: training_seed(evidence.seed, repeat) for repeat in set(parts["repeat"])}
    wrong = parts[parts["seed"] != parts["repeat"].map(wanted)]
    names = dict.fromkeys(of_trials(evidence, wrong))
    faults = [f"{name} was trained with another seed" for name in names]
    trials = len(parts.drop_duplicates(["study_id", "number"]))
    seen = f"{counted(trials, 'trial')} in {counted(len(parts), 'part')}, "
    seen += counted(len(wanted), "seed")
    return CheckResult(seen=seen, faults=faults, awaits="" if trials else "nothing is trained yet")


def check_room(evidence: Evidence) -> CheckResult:
    """The best values lie inside their ranges, and more trials would gain nothing."""
    trials = whole_trials(evidence)
    if trials.empty:
        return CheckResult(seen="", awaits="no bracket is decided in every search yet")
    studies = evidence.compared_studies
    names = {key: space.published.keys() for key, space in spaces_of(studies).items()}
    columns = zip(searches_of(trials), trials["params"], strict=True)
    trials = chosen(trials, [params.keys() == names[search] for search, params in columns])
    found = rows_of(edges(trials, studies, evidence.plan, evidence.budget))
    at_edge = [
        f"{search_name(row['method'], row['repeat'])} {row['hyperparameter']} ({row['side']})"
        for row in found
    ]
    sds, usual = seed_sds(confirmed_runs(evidence))
    grown = improvements(trials, studies, evidence.plan, evidence.budget, sds, usual)
    rising = grown[grown["still_improving"].astype(bool)]
    growing = [search_name(*search) for search in searches_of(rising)]
    remarks = [f"best value at the edge of its range: {shortened(at_edge)}"] if at_edge else []
    remarks += [f"still improving: {shortened(growing)}"] if growing else []
    return CheckResult(seen=counted(len(studies), "search"), remarks=remarks)


def _class_faults(evidence: Evidence) -> list[str]:
    """Return whether some evaluation counted other classes than the rest."""
    counts = evidence.rungs["counted"].value_counts()
    odd = int(counts.iloc[1:].sum())
    return [f"{counted(odd, 'evaluation')} counted other classes"] if odd else []


def _misjudged(whole: pd.DataFrame, rungs: pd.DataFrame, plan: BracketPlan) -> pd.DataFrame:
    """Return the trials of whole brackets that a rung let go on, or ended, against its values.

    All brackets at once, with what `BracketPlan.promoted` says of one: the best go on, and of
    equals the lower number. A row a trial and rung.
    """
    wrong = [whole[:0].assign(rung=0)]  # a plan with one rung judges nobody
    for rung, step in enumerate(plan.rung_steps[:-1]):
        values = rungs.loc[rungs["rung"] == rung, [*TRIAL, "score"]]
        trials = whole[JUDGED].merge(values, on=TRIAL, how="left").assign(rung=rung)
        judged = trials[(trials["number"] >= plan.anchors) & trials["score"].notna()]
        ranked = judged.sort_values(["score", "number"], ascending=[False, True])
        places = {index: plan.places(index, rung + 1) for index in set(ranked["bracket"])}
        is_out = ranked.groupby(BRACKET).cumcount() >= ranked["bracket"].map(places)
        was_ended = (trials["state"] == "PRUNED") & (trials["step"] == step) & ~trials["diverged"]
        wrong.append(trials[is_out.reindex(trials.index, fill_value=False) != was_ended])
    place = [*BRACKET, "rung", "number"]
    return pd.concat(wrong)[place].sort_values(place)


def _misjudging(
    plan: BracketPlan, place: tuple[str, int, int, int], rows: Iterable[Mapping[str, Any]]
) -> str:
    method, repeat, bracket, rung = place
    numbers = shortened(f"#{row['number']}" for row in rows)
    said = f"step {plan.rung_steps[rung]} judged {numbers} wrongly"
    return f"{search_name(method, repeat)} bracket {bracket}: {said}"
