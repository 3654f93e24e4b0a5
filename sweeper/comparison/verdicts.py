"""The verdict table: one row a method, with what its confirmations say against the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sweeper.comparison.evidence import Evidence
from sweeper.core.constants import BASELINE
from sweeper.search.space import known_space
from sweeper.statistics.contrasts import Comparisons
from sweeper.statistics.verdicts import Verdict

Values = Mapping[tuple[str, str], "pd.Series[float]"]  # of a method and configuration, in mIoU
HARMLESS = 0.03  # gradient share of a method's terms at which it is as good as the baseline
TEACHER_LEAD = 2.0  # mIoU over the confirmed baseline, for a teacher that has something to teach
FLIPS = 0.05  # of the resampled test sets, that may tell the other sign
CONTRAST = (
    *("difference", "low", "high", "low_simultaneous", "high_simultaneous", "p", "p_holm"),
    *("improvement", "largest_gain", "detectable"),
)


def verdict_table(
    evidence: Evidence,
    runs: pd.DataFrame,
    found: Comparisons | None,
    facts: Mapping[str, pd.DataFrame],
) -> pd.DataFrame:
    """Return one row a method, the baseline first, then by difference; see `Comparison.verdicts`.

    `facts` holds the frames `improvements`, `edges`, `costs` and `testset`.
    """
    weak, values, lost = is_teacher_weak(evidence, runs), _values(runs), _lost(runs)
    known = {**facts, "searches": _searches(evidence)}
    rows = [_row(evidence, values, found, known, method) for method in evidence.methods]
    for row in rows:
        row["reason"] = _reason(evidence, runs, row, found)
        row["flags"] = _flags(evidence, row, facts, weak=weak) + lost.get(row["method"], [])
    table = pd.DataFrame(rows)
    order = np.where(table["method"] == BASELINE, np.inf, table["difference"].fillna(-np.inf))
    return table.iloc[np.argsort(-order, kind="stable")].reset_index(drop=True)


def is_teacher_weak(evidence: Evidence, runs: pd.DataFrame) -> bool:
    """Return whether the teacher fails to beat the confirmed baseline by 2 mIoU.

    The teacher's score is on the selection split, the baseline's on the reported one.
    """
    baseline = _values(runs).get((BASELINE, "tuned"))
    if evidence.teacher is None or baseline is None:
        return False
    return evidence.teacher.score < float(baseline.mean()) + TEACHER_LEAD


def _values(runs: pd.DataFrame) -> Values:
    groups = runs.dropna(subset=["score"]).groupby(["method", "configuration"])["score"]
    return {(str(method), str(configuration)): v for (method, configuration), v in groups}


def _row(
    evidence: Evidence,
    values: Values,
    found: Comparisons | None,
    facts: Mapping[str, pd.DataFrame],
    method: str,
) -> dict[str, Any]:
    none = pd.Series(dtype=float)
    published, tuned = (values.get((method, name), none) for name in ("published", "tuned"))
    row: dict[str, Any] = {
        "method": method,
        "published_mean": _mean(published),
        "published_sd": _sd(published),
        "published_n": len(published),
        "mean": _mean(tuned),
        "sd": _sd(tuned),
        "n": len(tuned),
        **dict.fromkeys(CONTRAST, np.nan),
        "verdict": "",
        "reason": "",
        **_of(facts["searches"], method, ("selection_score", "trials", "dimensions")),
        **_of(facts["costs"], method, ("trained_steps", "seconds", "basis")),
        **_of(facts["testset"], method, ("testset_low", "testset_high", "testset_flips")),
    }
    if found is not None and method in found:
        contrast = found[method]
        numbers = {name: getattr(contrast, name) for name in (*CONTRAST, "mean", "sd", "n")}
        row |= {name: np.nan if value is None else value for name, value in numbers.items()}
        row["verdict"] = _worded(evidence, method, contrast.verdict)
    elif found is not None and method == BASELINE:
        row |= {name: getattr(found.control, name) for name in ("mean", "sd", "n")}
    return row


def _worded(evidence: Evidence, method: str, verdict: Verdict) -> str:
    """A loss of a method that can do all that the baseline does is one of the search's budget."""
    if verdict is Verdict.WORSE and contains_baseline(evidence, method):
        return (
            f"worse at budget {evidence.budget} (contains the baseline: more tuning would close "
            "this)"
        )
    return str(verdict)


def contains_baseline(evidence: Evidence, method: str) -> bool:
    """Return whether a method declares so, and has next to no gradient at its range's low end."""
    mine = evidence.studies[evidence.studies["method"] == method]
    harmless = map(_is_harmless, mine["space"], mine["calibration"])
    return bool(mine["contains_baseline"].all()) and all(harmless)


def _is_harmless(space: Mapping[str, Any], calibration: Mapping[str, Any] | None) -> bool:
    if calibration is None:
        return False
    lows = [d.low for d in known_space(space, calibration).dimensions if d.name == "multiplier"]
    return bool(lows) and lows[0] / float(calibration["equal"]) < HARMLESS


def _reason(
    evidence: Evidence, runs: pd.DataFrame, row: Mapping[str, Any], found: Comparisons | None
) -> str:
    method = row["method"]
    if method == BASELINE or (found is not None and method in found):
        return ""
    if not evidence.stages:
        return f"not confirmed: sweeper confirm {evidence.name}"
    stage = evidence.stages[-1]
    if not stage.is_done:
        return f"its confirmation is not finished: sweeper confirm {evidence.name}"
    failed = _failed(runs, method)
    if failed:
        return f"{failed} of its runs failed or were cancelled: see sweeper status {stage.name}"
    if row["n"] < 2:
        return f"only {row['n']} of {stage.seeds} confirmations came to their end"
    if _failed(runs, BASELINE):
        return "runs of the baseline failed or were cancelled"
    return "too few values of it or of the baseline"


def _failed(runs: pd.DataFrame, method: str) -> int:
    mine = runs[(runs["method"] == method) & (runs["configuration"] == "tuned")]
    return int((mine["state"] == "FAIL").sum())


def _searches(evidence: Evidence) -> pd.DataFrame:
    """Return, a row a method, what its searches found: selection_score, trials, dimensions."""
    trials = evidence.trials[evidence.trials["number"] < evidence.budget]
    complete = trials["score"].where(trials["state"] == "COMPLETE")
    dimensions = evidence.studies.groupby("method")["dimensions"].max()
    counts = trials.groupby("method").size().reindex(dimensions.index, fill_value=0)
    best = complete.groupby(trials["method"]).max()
    columns = {"selection_score": best, "trials": counts, "dimensions": dimensions}
    return pd.DataFrame(columns).reset_index()


def _of(frame: pd.DataFrame, method: str, columns: Sequence[str]) -> dict[str, Any]:
    rows = frame[frame["method"] == method]
    return {name: rows[name].iloc[0] if len(rows) else np.nan for name in columns}


def _flags(
    evidence: Evidence,
    row: Mapping[str, Any],
    facts: Mapping[str, pd.DataFrame],
    *,
    weak: bool,
) -> list[str]:
    """Return what stands beside a verdict, never instead of it."""
    method, growing = row["method"], facts["improvements"]
    is_baseline = method == BASELINE
    states = {
        "contains baseline": not is_baseline and contains_baseline(evidence, method),
        "edge": method in set(facts["edges"]["method"]),
        "still improving": method in set(growing.loc[growing["still_improving"], "method"]),
        "weak teacher": weak and not is_baseline,
        "this test set only": row["verdict"] == Verdict.BETTER and row["testset_flips"] > FLIPS,
    }
    return [flag for flag, holds in states.items() if holds]


def _lost(runs: pd.DataFrame) -> dict[str, list[str]]:
    """Return a flag of a method with runs that diverged: they are left out of means and tests."""
    tuned = runs[runs["configuration"] == "tuned"].groupby("method")["diverged"]
    return {
        str(method): [f"diverged {int(flags.sum())}/{len(flags)}"]
        for method, flags in tuned
        if flags.any()
    }


def _mean(values: pd.Series[float]) -> float:
    return float(values.mean()) if len(values) else np.nan


def _sd(values: pd.Series[float]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan
