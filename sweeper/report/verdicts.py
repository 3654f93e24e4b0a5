"""The sections on what was confirmed: verdicts, published against tuned, classes."""

from __future__ import annotations

from typing import Any

from sweeper.comparison.theme import BASELINE_MARK, MARKS, kind_of
from sweeper.core.constants import BASELINE, PUBLISHED_LABEL
from sweeper.report.content import PageContent
from sweeper.report.html import Cell, Html, missing, number, paragraph, table
from sweeper.report.plots import data_links

Row = dict[Any, Any]
HEADERS = (
    *("Method", "Verdict", "Difference", "95 % interval", "All at once", "p (Holm)"),
    *(PUBLISHED_LABEL.capitalize(), "Tuned", "sd", "Seeds", "P(better run)"),
    *("Gain not excluded", "Detectable"),
    *("Test set varied", "Flags", "Best in search", "Trials", "Dimensions", "Steps", "Device s"),
)


def verdicts_section(content: PageContent) -> Html:
    """Return the interval plot and the table behind it."""
    comparison = content.comparison
    name = "Verdicts"
    if not comparison.verdicts["n"].any():
        return content.section("verdicts", name, missing(content.lack))
    rows = [_cells(row) for row in comparison.verdicts.to_dict("records")]
    return content.section(
        "verdicts",
        name,
        paragraph(
            "Every method and the baseline were tuned alike; then the choices were trained again "
            "with fresh seeds and judged on a split that no search saw. A thin line is the 95 % "
            "interval of one difference, a broad one holds for all methods at once. Right of 0 is "
            f"better than the baseline; a gain left of δ = {comparison.delta:g} is of no interest."
        ),
        content.plot("verdicts", "Differences.", ["verdicts"], content.lack),
        table("Verdicts, best first; a column's head sorts by it", HEADERS, rows),
        paragraph(data_links(["verdicts", "testset"])),
    )


def published_section(content: PageContent) -> Html:
    """Return published beside tuned configurations."""
    return content.section(
        "published",
        "Published against tuned",
        paragraph(
            "Published: the weights of the paper under this recipe, which is not the paper's "
            "result. Tuned: what the search chose. Both were confirmed; every tick is one run."
        ),
        content.plot("published", "Confirmed values.", ["confirmed"], content.lack),
    )


def classes_section(content: PageContent) -> Html:
    """Return the differences class by class."""
    return content.section(
        "classes",
        "Class by class",
        content.plot("classes", "IoU by class.", ["class_differences"], content.lack),
    )


def _cells(row: Row) -> list[Cell | str]:
    is_baseline = row["method"] == BASELINE
    return [
        row["method"],
        _verdict(row, is_baseline),
        number(row["difference"], sign="+"),
        _interval(row["low"], row["high"]),
        _interval(row["low_simultaneous"], row["high_simultaneous"]),
        _p(row["p_holm"]),
        _spread(row["published_mean"], row["published_sd"]),
        _spread(row["mean"], row["sd"]),
        number(row["sd"]),
        number(row["n"], 0),
        number(row["improvement"]),
        number(row["largest_gain"], sign="+"),
        number(row["detectable"]),
        _interval(row["testset_low"], row["testset_high"]),
        ", ".join(row["flags"]) or "-",
        number(row["selection_score"]),
        number(row["trials"], 0),
        number(row["dimensions"], 0),
        number(row["trained_steps"], 0),
        number(row["seconds"], 0),
    ]


def _verdict(row: Row, is_baseline: bool) -> Cell:
    """Return sign and words; sorted from better to worse, the baseline first."""
    if is_baseline:
        return Cell(shown=f"{BASELINE_MARK.sign} baseline", key="0")
    kind = kind_of(row["verdict"])
    if not kind:
        return Cell(shown=row["reason"] or "not judged", key="9")
    order = ("better", "no gain", "undecided", "worse at budget", "worse")
    return Cell(shown=f"{MARKS[kind].sign} {row['verdict']}", key=str(1 + order.index(kind)))


def _interval(low: float, high: float) -> Cell:
    start, stop = number(low, sign="+"), number(high, sign="+")
    if start.shown == "-":
        return start
    return Cell(shown=f"{start.shown} to {stop.shown}", key=start.key)


def _spread(mean: float, sd: float) -> Cell:
    middle, reach = number(mean), number(sd)
    shown = middle.shown if reach.shown == "-" else f"{middle.shown} ± {reach.shown}"
    return Cell(shown=shown, key=middle.key)


def _p(value: float) -> Cell:
    found = number(value, 3)
    return Cell(shown="<0.001", key=found.key) if value < 0.001 else found
