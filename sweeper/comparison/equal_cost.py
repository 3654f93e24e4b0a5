"""Methods at equal cost of tuning, and of training: described, never tested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from sweeper.comparison.bracket_replay import Brackets, Floats, replay
from sweeper.comparison.evidence import Evidence
from sweeper.core.constants import BASELINE
from sweeper.core.equal_cost import LENGTHS, PLAIN, TUNING, Cut, Cuts
from sweeper.core.names import search_name, search_of
from sweeper.search.seeds import confirmation_seeds
from sweeper.store.stages import PUBLISHED, TUNED

ALIKE = 0.95  # steps of two methods differ by this much between measurements
TUNING_COLUMNS = (
    *("method", "seconds_per_step", "search_seconds", "common_seconds", "trials"),
    *("mean_equal_trials", "mean", "sd", "n", "difference"),
)
TRAINING_COLUMNS = (
    *("method", "cost", "mean", "n", "baseline_length", "baseline", "difference"),
    *("kd_length", "kd", "kd_difference"),
)

EQUAL = 1 + 1e-9  # costs summed in another order differ in the last digit


def tuning_matched(evidence: Evidence, confirmed: pd.DataFrame) -> pd.DataFrame:
    """Return what each method's search had found at the common cost, confirmed; one row a method.

    Columns: method, seconds_per_step (alone), search_seconds (all compared trials of a search),
    common_seconds, trials (number of the one that was chosen, of several searches each),
    mean_equal_trials (the stage's), mean, sd, n (of the confirmed values; of several searches of
    their means), difference to the baseline. NaN where no trial had come to its end by then. No
    rows before it is trained.
    """
    part = evidence.equal_cost.get(TUNING)
    if part is None or not part.is_done:
        return pd.DataFrame(columns=TUNING_COLUMNS)
    seconds, cuts = part.terms["costs"]["seconds"], part.terms["cuts"]
    lengths = search_seconds(evidence, seconds)
    stage_means = _stage_values(evidence, confirmed)
    rows = []
    for method in evidence.methods:
        names = _names(evidence, method)
        chosen = [cuts["chosen"][name]["number"] for name in names if name in cuts["chosen"]]
        values = [_tuned_to(evidence, confirmed, name, cuts["chosen"].get(name)) for name in names]
        rows.append(
            {
                "method": method,
                "seconds_per_step": seconds[method],
                "search_seconds": lengths[method],
                "common_seconds": cuts["common"],
                "trials": chosen,
                "mean_equal_trials": _described(stage_means[method])["mean"],
                **_described(values),
            }
        )
    return _beside_baseline(pd.DataFrame(rows))[[*TUNING_COLUMNS]]


def training_points(evidence: Evidence, confirmed: pd.DataFrame) -> pd.DataFrame:
    """Return what longer training gives the baseline and plain distillation.

    Columns: method, length (of the schedule, 1 is the task's), cost (in trainings of the baseline),
    mean, sd, n. No rows before they are trained.
    """
    if not _is_trained(evidence):
        return pd.DataFrame(columns=["method", "length", "cost", "mean", "sd", "n"])
    costs = _training_costs(evidence)
    values = _stage_values(evidence, confirmed)
    rows = [
        {"method": method, "length": length, "cost": costs[method] * length, **_described(found)}
        for method in (BASELINE, PLAIN)
        if method in values
        for length, found in [(1.0, values[method]), *_longer(evidence, method)]
    ]
    return pd.DataFrame(rows)


def training_matched(evidence: Evidence, confirmed: pd.DataFrame) -> pd.DataFrame:
    """Return each method beside the baseline and plain distillation trained for as much.

    Columns: method, cost (of one training, in the baseline's), mean, n; baseline_length (how much
    longer the baseline is trained for that cost, 2 at most), baseline (its mean then, interpolated
    between the lengths that were trained), difference; kd_length, kd, kd_difference. NaN for what
    costs less than the rival's usual training, by more than two measurements differ. No rows
    before they are trained.
    """
    points = training_points(evidence, confirmed)
    if points.empty:
        return pd.DataFrame(columns=TRAINING_COLUMNS)
    costs, values = _training_costs(evidence), _stage_values(evidence, confirmed)
    rows = []
    for method in evidence.methods:
        described = _described(values[method])
        row: dict[str, Any] = {"method": method, "cost": costs[method]}
        row |= {"mean": described["mean"], "n": described["n"]}
        for rival, column in ((BASELINE, "difference"), (PLAIN, "kd_difference")):
            length, mean = _rival(points[points["method"] == rival], costs[method])
            row |= {f"{rival}_length": length, rival: mean, column: row["mean"] - mean}
        rows.append(row)
    return pd.DataFrame(rows)[[*TRAINING_COLUMNS]]


def step_seconds(evidence: Evidence) -> Mapping[str, float]:
    """Return the seconds of each method's step alone, as declared; nothing where they are not."""
    part = evidence.equal_cost.get(TUNING)
    return part.terms["costs"]["seconds"] if part is not None else {}


def notes(evidence: Evidence, part: str, points: pd.DataFrame) -> list[str]:
    """Return what must be read with a table at equal cost; `points` are the `training_points`."""
    terms = evidence.equal_cost[TUNING].terms
    lines = [
        "Every search was cut where it had cost what the cheapest one did in all: "
        f"{terms['cuts']['common']:,.0f} s of steps. What it had found by then was confirmed."
    ]
    if part == "training":
        rivals = " and ".join(dict.fromkeys(points["method"]))
        times = " and ".join(f"{length:g}" for length in LENGTHS.values())
        lines = [
            f"{rivals}: trained {times} times as long, with the values tuned at the usual length; "
            "between lengths is interpolated, beyond the longest it stands."
        ]
        lines += _short(points)
    return [
        *lines,
        f"Costs are steps alone, the teacher's pass included, on {terms['costs']['device']}; "
        "preparations and the teacher's own training are not in them.",
        f"Means of the first {terms['seeds']} seeds. This describes; nothing is tested.",
    ]


def _short(points: pd.DataFrame) -> list[str]:
    """Say where rivals have fewer values than at another length."""
    most = points.groupby("method")["n"].transform("max")
    return [
        f"{row['method']} trained {row['length']:g} times as long has only {row['n']} values."
        for row in points[points["n"] < most].to_dict("records")
    ]


def _tuned_to(
    evidence: Evidence, confirmed: pd.DataFrame, search: str, cut: Mapping[str, Any] | None
) -> Floats:
    """Return the confirmed values of a search's choice at the common cost."""
    if cut is None:
        return np.empty(0)
    if cut["number"] == evidence.stages[0].incumbents[search]:
        return _of_stage(evidence, confirmed, search, TUNED)
    if (
        cut["number"] == 0 and search_of(search)[1] == 1
    ):  # the first search's stage has what is published
        return _of_stage(evidence, confirmed, search, PUBLISHED)
    return _of_part(evidence, TUNING, search)


def _stage_values(evidence: Evidence, confirmed: pd.DataFrame) -> dict[str, list[Floats]]:
    """Return method -> the tuned values of each of its searches, of seeds that all methods have."""
    found: dict[str, list[Floats]] = {}
    for search in evidence.stages[0].incumbents:
        values = _of_stage(evidence, confirmed, search, TUNED)
        found.setdefault(search_of(search)[0], []).append(values)
    return found


def _of_stage(
    evidence: Evidence, confirmed: pd.DataFrame, search: str, configuration: str
) -> Floats:
    stage = evidence.stages[0]
    fewest = min(stage.seeds, stage.baseline_seeds)
    seeds = confirmation_seeds(evidence.seed, stage.number, fewest)
    runs = confirmed[(confirmed["stage"] == stage.number) & confirmed["seed"].isin(seeds)]
    return _values(runs[runs["configuration"] == configuration], search)


def _of_part(evidence: Evidence, part: str, search: str) -> Floats:
    runs = evidence.equal_cost_runs
    return _values(runs[runs["part"] == part], search)


def _values(runs: pd.DataFrame, search: str) -> Floats:
    method, repeat = search_of(search)
    mine = runs[(runs["method"] == method) & (runs["repeat"] == repeat)]
    if (mine["state"] == "FAIL").any():  # a part of a sample is another one
        return np.empty(0)
    return mine["score"].dropna().to_numpy(dtype=np.float64)


def _longer(evidence: Evidence, method: str) -> Iterator[tuple[float, list[Floats]]]:
    for part, length in LENGTHS.items():
        yield length, [_of_part(evidence, part, name) for name in _names(evidence, method)]


def _names(evidence: Evidence, method: str) -> list[str]:
    """Return the names of a method's searches that the first stage confirms."""
    return [name for name in evidence.stages[0].incumbents if search_of(name)[0] == method]


def _is_trained(evidence: Evidence) -> bool:
    return all(
        name in evidence.equal_cost and evidence.equal_cost[name].is_done for name in LENGTHS
    )


def _training_costs(evidence: Evidence) -> dict[str, float]:
    seconds = evidence.equal_cost[TUNING].terms["costs"]["seconds"]
    return {method: seconds[method] / seconds[BASELINE] for method in evidence.methods}


def _rival(points: pd.DataFrame, cost: float) -> tuple[float, float]:
    """Return how long a rival trains for that cost, its longest at most, and its mean then."""
    if points.empty or cost < ALIKE * points["cost"].iloc[0]:
        return np.nan, np.nan
    at = np.clip(cost, points["cost"].iloc[0], points["cost"].iloc[-1])
    length, mean = (np.interp(at, points["cost"], points[name]) for name in ("length", "mean"))
    return float(length), float(mean)


def _described(searches: list[Floats]) -> dict[str, Any]:
    """Return mean, sd and n of one search's values, or of several searches' means."""
    if len(searches) > 1:
        units = np.array([each.mean() for each in searches if len(each)])
    else:
        units = np.concatenate([*searches, np.empty(0)])
    return {
        "mean": float(units.mean()) if len(units) else np.nan,
        "sd": float(units.std(ddof=1)) if len(units) > 1 else np.nan,
        "n": len(units),
    }


def _beside_baseline(frame: pd.DataFrame) -> pd.DataFrame:
    control = frame.loc[frame["method"] == BASELINE, "mean"]
    return frame.assign(difference=frame["mean"] - float(control.iloc[0]))


def cut_searches(evidence: Evidence, seconds: Mapping[str, float]) -> Cuts:
    """Return every compared search cut at the cost of the cheapest whole one.

    `seconds` are those of a method's step alone. A search is replayed as one worker runs it, and a
    trial counts once its last step is paid for. Steps lost with a worker cost nothing here.
    """
    searches = dict(_searches(evidence))
    costs = {name: seconds[method] for name, (method, _) in searches.items()}
    common = min(costs[n] * float(s.lengths["steps"].sum()) for n, (_, s) in searches.items())
    cuts = {name: _cut(each, costs[name], common) for name, (_, each) in searches.items()}
    return Cuts(common=common, chosen={name: cut for name, cut in cuts.items() if cut is not None})


def search_seconds(evidence: Evidence, seconds: Mapping[str, float]) -> dict[str, float]:
    """Return the mean cost of a method's searches."""
    found: dict[str, list[float]] = {}
    for _, (method, brackets) in _searches(evidence):
        steps = float(brackets.lengths["steps"].sum())
        found.setdefault(method, []).append(steps * seconds[method])
    return {method: float(np.mean(each)) for method, each in found.items()}


def _searches(evidence: Evidence) -> Iterator[tuple[str, tuple[str, Brackets]]]:
    """Yield name, method and replayed brackets of every search that the first stage confirms."""
    trials, rungs = evidence.compared_trials, evidence.rungs
    found = replay(trials, rungs, evidence.plan, evidence.budget)
    for method, searches in found.items():
        for repeat, brackets in enumerate(searches, start=1):
            name = search_name(method, repeat)
            if name in evidence.stages[0].incumbents:
                yield name, (method, brackets)


def _cut(search: Brackets, per_step: float, common: float) -> Cut | None:
    lengths = search.lengths["steps"]
    begun = np.cumsum(lengths) - lengths
    ended = per_step * (begun[:, None] + search.offsets["steps"])
    values = np.where(ended <= common * EQUAL, search.values, -np.inf)
    if not np.isfinite(values).any():
        return None
    number = int(values.argmax())  # of equal ones the first, as where trials are equally many
    return Cut(number=number, seconds=float(ended.flat[number]))
