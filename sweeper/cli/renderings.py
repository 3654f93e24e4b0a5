"""The verdict table in the forms that people and papers want; programs get every column."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweeper.cli.tables import duration, plain
from sweeper.comparison.comparison import Comparison
from sweeper.comparison.values import num_searches
from sweeper.declaring import BASELINE
from sweeper.queries import as_csv, as_json

if TYPE_CHECKING:
    import pandas as pd

HEADERS = (
    *("method", "published", "tuned", "sd", "n", "difference", "95 %", "all at once", "p"),
    *("verdict", "flags", "search"),
)
DASH = "-"
SIGN = re.compile(r"(?<!\w)([-+<])(?=\d)")
ESCAPES = {"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#"}


def render(verdicts: pd.DataFrame) -> tuple[Sequence[str], list[list[str]]]:
    """Return headers and cells, a row a method."""
    return HEADERS, [_cells(row) for row in verdicts.to_dict("records")]


def notes(comparison: Comparison, stamps: Sequence[str]) -> list[str]:
    """Return what must be read with the table."""
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


def document(comparison: Comparison, stamps: Sequence[str], form: str) -> str:
    """Return the table as a text in one of the forms csv, json, markdown, latex, table."""
    if form == "csv":
        return as_csv(comparison.verdicts)
    if form == "json":
        return _json(comparison, stamps)
    headers, rows = render(comparison.verdicts)
    remarks = notes(comparison, stamps)
    if form == "markdown":
        return _markdown(headers, rows, remarks)
    if form == "latex":
        return _latex(headers, rows, remarks)
    return "\n".join([plain(headers, rows), "", *remarks, ""])


def _json(comparison: Comparison, stamps: Sequence[str]) -> str:
    evidence = comparison.evidence
    found = comparison.contrasts
    return json.dumps(
        {
            "sweep": evidence.name,
            "task": evidence.task,
            "budget": evidence.budget,
            "delta": comparison.delta,
            "paired": comparison.paired,
            "claim": comparison.claim,
            "seed_correlation": None if found is None else found.seed_correlation,
            "warnings": comparison.warnings,
            "audit": list(stamps),
            "methods": json.loads(as_json(comparison.verdicts)),
        },
        indent=2,
    )


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


def _markdown(headers: Sequence[str], rows: list[list[str]], remarks: Sequence[str]) -> str:
    lines = ["| " + " | ".join(headers) + " |", "|" + "---|" * len(headers)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"* {remark}" for remark in remarks), ""])


def _latex(headers: Sequence[str], rows: list[list[str]], remarks: Sequence[str]) -> str:
    """Return a table for the package booktabs; what must be said stands in comments above it."""
    columns = "l" + "r" * 8 + "lll"
    body = [" & ".join(map(_escaped, row)) + r" \\" for row in rows]
    return "\n".join(
        [
            *(f"% {remark}" for remark in remarks),
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(_escaped, headers)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _escaped(cell: str) -> str:
    """Return a cell for LaTeX: special letters escaped, minus signs as such."""
    text = "".join(ESCAPES.get(letter, letter) for letter in cell)
    return SIGN.sub(r"$\1$", text)
