"""The verdict table in the forms that people and papers want; programs get every column."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.cli.tables import duration, plain
from sweeper.comparison.comparison import Comparison
from sweeper.comparison.confirmed_scores import num_searches
from sweeper.core.constants import BASELINE, PUBLISHED_LABEL
from sweeper.core.errors import SweeperError
from sweeper.store.named_queries import as_csv, as_json

if TYPE_CHECKING:
    import pandas as pd

HEADERS = (
    *("method", PUBLISHED_LABEL, "tuned", "sd", "n", "difference", "95 %", "all at once", "p"),
    *("verdict", "flags", "search"),
)
TUNING = ("method", "a step", "search", "equal trials", "equal cost", "sd", "n", "difference")
TRAINING = ("method", "cost", "tuned", "n", "baseline", "difference", "kd", "kd difference")
DASH = "-"
SIGN = re.compile(r"(?<!\w)([-+<])(?=\d)")
ESCAPES = {"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#"}


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One table of a comparison, with what must be read with it."""

    frame: pd.DataFrame  # every column, for programs
    headers: Sequence[str]
    cells: list[list[str]]
    alignment: str  # of the columns, as LaTeX has it
    remarks: list[str]
    about: Mapping[str, Any]  # of the whole, for programs


def verdict_sheet(comparison: Comparison, stamps: Sequence[str]) -> Sheet:
    """Return the verdicts, a row a method."""
    found = comparison.contrasts
    return Sheet(
        frame=comparison.verdicts,
        headers=HEADERS,
        cells=[_cells(row) for row in comparison.verdicts.to_dict("records")],
        alignment="l" + "r" * 8 + "lll",
        remarks=_notes(comparison, stamps),
        about={
            **_about(comparison, stamps),
            "delta": comparison.delta,
            "paired": comparison.paired,
            "claim": comparison.claim,
            "seed_correlation": None if found is None else found.seed_correlation,
        },
    )


def equal_cost_sheet(comparison: Comparison, stamps: Sequence[str], part: str) -> Sheet:
    """Return the methods at equal cost of `tuning` or `training`; SweeperError before it is there.

    It describes: there is no test in it, and no verdict.
    """
    by_tuning = part == "tuning"
    frame = comparison.tuning_matched if by_tuning else comparison.training_matched
    if frame.empty:
        name = comparison.evidence.name
        raise SweeperError(
            f"sweep {name} has not been trained at equal cost of {part}: sweeper confirm {name} "
            "--equal-cost"
        )
    headers, cells = (TUNING, _tuning_cells) if by_tuning else (TRAINING, _training_cells)
    said = [f"audit: {stamp}" for stamp in stamps] + comparison.equal_cost_notes(part)
    return Sheet(
        frame=frame,
        headers=headers,
        cells=[cells(row) for row in frame.to_dict("records")],
        alignment="l" + "r" * (len(headers) - 1),
        remarks=[*said, *comparison.warnings],
        about={
            **_about(comparison, stamps),
            "equal_cost": part,
            "notes": comparison.equal_cost_notes(part),
        },
    )


def document(sheet: Sheet, form: str) -> str:
    """Return a table as a text in one of the forms csv, json, markdown, latex, table."""
    if form == "csv":
        return as_csv(sheet.frame)
    if form == "json":
        return json.dumps({**sheet.about, "methods": json.loads(as_json(sheet.frame))}, indent=2)
    if form == "markdown":
        return _markdown(sheet)
    if form == "latex":
        return _latex(sheet)
    return "\n".join([plain(sheet.headers, sheet.cells), "", *sheet.remarks, ""])


def _about(comparison: Comparison, stamps: Sequence[str]) -> dict[str, Any]:
    evidence = comparison.evidence
    return {
        "sweep": evidence.name,
        "task": evidence.task,
        "budget": evidence.budget,
        "audit": list(stamps),
        "warnings": comparison.warnings,
    }


def _notes(comparison: Comparison, stamps: Sequence[str]) -> list[str]:
    evidence = comparison.evidence
    lines = [f"audit: {stamp}" for stamp in stamps]
    if comparison.contrasts is not None:
        lines.append(comparison.claim)
        lines.append(_method_of(comparison))
    reasons = {row["reason"] for row in comparison.verdicts.to_dict("records") if row["reason"]}
    lines += sorted(reasons)
    lines += comparison.warnings
    lines.append(f"more: sweeper report {evidence.name} -o DIR; sweeper audit {evidence.name}")
    return lines


def _method_of(comparison: Comparison) -> str:
    found = comparison.contrasts
    how = "paired t" if comparison.paired else "Welch's t"
    text = (
        f"Test: {how} with variances shrunk across methods, Holm over {len(found or ())} methods; "
        f"a gain under {comparison.delta:g} mIoU is of no interest."
    )
    correlation = None if found is None else found.seed_correlation
    if correlation is not None and num_searches(comparison.evidence) == 1:
        text += f" Runs of one seed correlate by {correlation:.2f}."
    return text


def _cells(row: dict[Any, Any]) -> list[str]:
    is_baseline = row["method"] == BASELINE
    verdict = row["verdict"] or ("" if is_baseline else "not judged")
    return [
        row["method"],
        _number(row["published_mean"]),
        _number(row["mean"]),
        _number(row["sd"]),
        str(row["n"]) if row["n"] else DASH,
        "" if is_baseline else _signed(row["difference"]),
        "" if is_baseline else _interval(row["low"], row["high"]),
        "" if is_baseline else _interval(row["low_simultaneous"], row["high_simultaneous"]),
        "" if is_baseline else _p(row["p_holm"]),
        verdict,
        ", ".join(row["flags"]),
        _cost(row),
    ]


def _cost(row: dict[Any, Any]) -> str:
    return DASH if math.isnan(row["seconds"]) else duration(row["seconds"])


def _number(value: float) -> str:
    return DASH if math.isnan(value) else f"{value:.2f}"


def _signed(value: float) -> str:
    return DASH if math.isnan(value) else f"{value:+.2f}"


def _interval(low: float, high: float) -> str:
    return DASH if math.isnan(low) else f"{low:+.2f} to {high:+.2f}"


def _p(value: float) -> str:
    if math.isnan(value):
        return DASH
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _tuning_cells(row: dict[Any, Any]) -> list[str]:
    return [
        row["method"],
        f"{row['seconds_per_step']:.3g} s",
        duration(row["search_seconds"]),
        _number(row["mean_equal_trials"]),
        _number(row["mean"]),
        _number(row["sd"]),
        str(row["n"]) if row["n"] else DASH,
        "" if row["method"] == BASELINE else _signed(row["difference"]),
    ]


def _training_cells(row: dict[Any, Any]) -> list[str]:
    is_baseline = row["method"] == BASELINE
    return [
        row["method"],
        f"{row['cost']:.2f}",
        _number(row["mean"]),
        str(row["n"]) if row["n"] else DASH,
        "" if is_baseline else _at_length(row["baseline"], row["baseline_length"]),
        "" if is_baseline else _signed(row["difference"]),
        _at_length(row["kd"], row["kd_length"]),
        _signed(row["kd_difference"]),
    ]


def _at_length(mean: float, length: float) -> str:
    return DASH if math.isnan(mean) else f"{mean:.2f} ({length:.2f}x)"


def _markdown(sheet: Sheet) -> str:
    lines = ["| " + " | ".join(sheet.headers) + " |", "|" + "---|" * len(sheet.headers)]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in sheet.cells]
    lines += ["| " + " | ".join(row) + " |" for row in escaped]
    return "\n".join([*lines, "", *(f"* {remark}" for remark in sheet.remarks), ""])


def _latex(sheet: Sheet) -> str:
    """Return a table for the package booktabs; what must be said stands in comments above it."""
    return "\n".join(
        [
            *(f"% {remark}" for remark in sheet.remarks),
            rf"\begin{{tabular}}{{{sheet.alignment}}}",
            r"\toprule",
            " & ".join(map(_escaped, sheet.headers)) + r" \\",
            r"\midrule",
            *(" & ".join(map(_escaped, row)) + r" \\" for row in sheet.cells),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _escaped(cell: str) -> str:
    """Return a cell for LaTeX: special letters escaped, minus signs as such."""
    text = "".join(ESCAPES.get(letter, letter) for letter in cell)
    return SIGN.sub(r"$\1$", text)
