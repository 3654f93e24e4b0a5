"""Whether the values of the searches are what they claim to be, and were judged as planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from sweeper.audit.compared import (
    chosen,
    counted,
    is_named,
    of_trials,
    rows_of,
    rungs_of,
    shortened,
    whole_trials,
)
from sweeper.audit.finding import Look
from sweeper.comparison.evidence import Evidence
from sweeper.comparison.flags import edges, improvements
from sweeper.comparison.rung_check import check_rungs, summarise_rungs
from sweeper.comparison.searches import SEARCH, spaces_of, whole_brackets
from sweeper.comparison.values import confirmed_runs, seed_sds
from sweeper.names import search_name
from sweeper.search.plan import Plan
from sweeper.search.seeds import training_seed
from sweeper.store.log import FINAL_STATES

BRACKET = (*SEARCH, "bracket")


def look_at_last_step(evidence: Evidence) -> Look:
    """A trial's value is that of its last rung; of a complete one, at the last step."""
    trials = evidence.trials[evidence.trials["state"].isin(["COMPLETE", "PRUNED"])]
    ended = trials[~trials["diverged"].astype(bool)].reset_index(drop=True)
    last = evidence.rungs.sort_values("rung").drop_duplicates([*SEARCH, "number"], keep="last")
    found = ended.merge(last, on=[*SEARCH, "number"], how="left", suffixes=("", "_of_rung"))
    steps = evidence.plan.rung_steps
    is_value = (found["miou"] == found["miou_of_rung"]) & (found["step"] == found["step_of_rung"])
    is_last = (found["state"] == "PRUNED") | (found["step"] == steps[-1])
    wrong = found[~(is_value & is_last)]
    faults = [f"{name} has a value of another step" for name in of_trials(evidence, wrong)]
    diverged = evidence.trials[evidence.trials["diverged"].astype(bool)]
    valued = diverged[diverged["miou"].notna()]
    faults += [f"{name} diverged and has a value" for name in of_trials(evidence, valued)]
    faults += _class_faults(evidence)
    seen = f"{counted(len(found), 'value')} of {counted(len(evidence.rungs), 'evaluation')}"
    return Look(seen=seen, faults=faults, awaits="" if len(found) else "no trial has ended yet")


def look_at_judging(evidence: Evidence) -> Look:
    """Who went on from a rung follows from the values of its own bracket alone."""
    studies = evidence.studies
    going = studies[~studies["state"].isin(FINAL_STATES)]["study_id"]
    trials = evidence.trials[evidence.trials["study_id"].isin(going)]
    whole = whole_brackets(trials, evidence.plan)
    rows = rows_of(whole[[*BRACKET, "study_id", "number", "state", "step", "diverged"]])
    groups = [list(group) for _, group in groupby(rows, itemgetter(*BRACKET))]  # sorted so
    rungs = evidence.rungs
    key = zip(rungs["study_id"], rungs["number"], rungs["rung"], strict=True)
    reached = dict(zip(key, rungs["miou"], strict=True))
    faults = [
        f"{search_name(group[0]['method'], group[0]['repeat'])} bracket {group[0]['bracket']}: "
        f"{fault}"
        for group in groups
        for fault in _misjudged(group, reached, evidence.plan)
    ]
    seen = f"{counted(len(groups), 'bracket')} judged again from their values"
    return Look(seen=seen, faults=faults, awaits="" if groups else "no bracket is decided yet")


def look_at_rungs(evidence: Evidence) -> Look:
    """The rungs rank the anchors as the end does."""
    trials = whole_trials(evidence)
    checks = check_rungs(trials, rungs_of(evidence, trials), evidence.plan)
    if checks["tau"].notna().sum() == 0:
        return Look(seen="", awaits="no anchors have come to their end yet")
    rows = rows_of(summarise_rungs(checks))
    said = [
        f"step {row['step']}: tau_b {row['tau']:.2f} "
        f"[{row['tau_low']:.2f}, {row['tau_high']:.2f}], regret {row['regret']:.2f}"
        for row in rows
    ]
    misleading = [f"the rung at step {row['step']} misleads" for row in rows if row["misleads"]]
    methods = max(row["methods"] for row in rows)
    return Look(seen=f"{counted(methods, 'method')}; {'; '.join(said)}", faults=misleading)


def look_at_training_seeds(evidence: Evidence) -> Look:
    """All trials of a repeat were trained with one seed, that of the repeat."""
    parts = evidence.parts[evidence.parts["sweep_id"] == evidence.sweep_id]
    wanted = {repeat: training_seed(evidence.seed, repeat) for repeat in set(parts["repeat"])}
    wrong = parts[parts["seed"] != parts["repeat"].map(wanted)]
    names = dict.fromkeys(of_trials(evidence, wrong))
    faults = [f"{name} was trained with another seed" for name in names]
    trials = len(parts.drop_duplicates(["study_id", "number"]))
    seen = f"{counted(trials, 'trial')} in {counted(len(parts), 'part')}, "
    seen += counted(len(wanted), "seed")
    return Look(seen=seen, faults=faults, awaits="" if trials else "nothing is trained yet")


def look_at_room(evidence: Evidence) -> Look:
    """The best values lie inside their ranges, and more trials would gain nothing."""
    trials = whole_trials(evidence)
    if trials.empty:
        return Look(seen="", awaits="no bracket is decided in every search yet")
    studies = evidence.compared_studies
    spaces = spaces_of(studies)
    columns = zip(*(trials[name] for name in (*SEARCH, "params")), strict=True)
    known = [is_named(params, spaces[method, repeat]) for method, repeat, params in columns]
    trials = chosen(trials, known)
    found = rows_of(edges(trials, studies, evidence.plan, evidence.budget))
    at_edge = [
        f"{search_name(row['method'], row['repeat'])} {row['hyperparameter']} ({row['side']})"
        for row in found
    ]
    sds, usual = seed_sds(confirmed_runs(evidence))
    grown = improvements(trials, studies, evidence.plan, evidence.budget, sds, usual)
    rising = grown[grown["still_improving"].astype(bool)]
    names = [search_name(*key) for key in zip(rising["method"], rising["repeat"], strict=True)]
    remarks = [f"best value at the edge of its range: {shortened(at_edge)}"] if at_edge else []
    remarks += [f"still improving: {shortened(names)}"] if names else []
    return Look(seen=counted(len(studies), "search"), remarks=remarks)


def _class_faults(evidence: Evidence) -> list[str]:
    """Return whether some evaluation counted other classes than the rest."""
    counts = evidence.rungs["counted"].value_counts()
    odd = int(counts.iloc[1:].sum())
    return [f"{counted(odd, 'evaluation')} counted other classes"] if odd else []


def _misjudged(
    rows: list[dict[str, Any]], reached: Mapping[tuple[int, int, int], float], plan: Plan
) -> Iterator[str]:
    """Yield where a bracket's survivors are not those that its values say."""
    for rung in range(len(plan.rung_steps) - 1):
        values = {
            row["number"]: reached[key]
            for row in rows
            if not plan.is_anchor(row["number"])
            and (key := (row["study_id"], row["number"], rung)) in reached
        }
        promoted = plan.promoted(int(rows[0]["bracket"]), rung, values)
        ended = {
            row["number"]
            for row in rows
            if (row["state"], row["step"]) == ("PRUNED", plan.rung_steps[rung])
            and not row["diverged"]
        }
        wrong = sorted((values.keys() - promoted) ^ ended)
        if wrong:
            yield f"step {plan.rung_steps[rung]} judged {shortened(f'#{n}' for n in wrong)} wrongly"
