"""The section on equal cost: methods at equal cost of tuning and of training."""

from __future__ import annotations

from typing import Any

from sweeper.report.content import PageContent
from sweeper.report.html import Cell, Html, missing, number, paragraph, table

Row = dict[Any, Any]
TUNING = (
    *("Method", "Seconds a step", "Seconds of a search", "Mean, equal trials"),
    *("Mean, equal cost", "sd", "n", "Difference"),
)
TRAINING = (
    *("Method", "Cost of a training", "Mean", "n", "Baseline", "Its length", "Difference"),
    *("kd", "Its length", "Difference to kd"),
)


def equal_cost_section(content: PageContent) -> Html:
    """Return a plot and a table for each part that is trained."""
    comparison = content.comparison
    tuning, training = comparison.tuning_matched, comparison.training_matched
    parts: list[Html] = []
    if len(tuning):
        rows = [_tuning(row) for row in tuning.to_dict("records")]
        parts += [
            paragraph(" ".join(comparison.equal_cost_notes("tuning"))),
            content.plot("equal_tuning", "Equal cost of tuning.", ["tuning_matched"], ""),
            table("At equal cost of tuning", TUNING, rows),
        ]
    if len(training):
        rows = [_training(row) for row in training.to_dict("records")]
        data = ["training_matched", "training_points"]
        parts += [
            paragraph(" ".join(comparison.equal_cost_notes("training"))),
            content.plot("equal_training", "Equal cost of training.", data, ""),
            table("At equal cost of training", TRAINING, rows),
        ]
    lack = f"Not trained: sweeper confirm {comparison.evidence.name} --equal-cost"
    return content.section("equal-cost", "At equal cost", *(parts or [missing(lack)]))


def _tuning(row: Row) -> list[Cell | str]:
    return [
        row["method"],
        number(row["seconds_per_step"], 4),
        number(row["search_seconds"], 0),
        number(row["mean_equal_trials"]),
        number(row["mean"]),
        number(row["sd"]),
        number(row["n"], 0),
        number(row["difference"], sign="+"),
    ]


def _training(row: Row) -> list[Cell | str]:
    return [
        row["method"],
        number(row["cost"]),
        number(row["mean"]),
        number(row["n"], 0),
        number(row["baseline"]),
        number(row["baseline_length"]),
        number(row["difference"], sign="+"),
        number(row["kd"]),
        number(row["kd_length"]),
        number(row["kd_difference"], sign="+"),
    ]
