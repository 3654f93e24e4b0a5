"""The sections on the searches: curves, shared points, slices, importances, rungs, edges."""

from __future__ import annotations

from typing import Any

from sweeper.report.content import PageContent
from sweeper.report.html import (
    Cell,
    Html,
    element,
    joined,
    missing,
    number,
    paragraph,
    table,
)
from sweeper.report.plots import data_links

Row = dict[Any, Any]
NOT_YET = "No search has finished a bracket that all methods have, so nothing can be drawn."
CURVES = {
    "curves_trials": "By trials.",
    "curves_seconds": "By cost.",
}


def curves_section(content: PageContent) -> Html:
    """Return the best value so far, by trials and by cost."""
    found = [name for name in CURVES if name in content.figures]
    plots = [content.plot(name, CURVES[name], ["curves"], NOT_YET) for name in found]
    return content.section(
        "curves",
        "Progress of the searches",
        paragraph(
            "Best value on the selection split so far, with 90 % bands over brackets drawn anew. "
            "These values chose the configurations; they are no evidence between methods. The "
            "legend shows and hides a method."
        ),
        element("div", *plots, class_="pair") if plots else missing(NOT_YET),
    )


def shared_section(content: PageContent) -> Html:
    """Return differences at equal shared points."""
    return content.section(
        "shared",
        "At equal shared hyperparameters",
        paragraph(
            "The first trials of every search have the same learning rates and weight decays, so "
            "what differs there is the method. One training seed, no verdict."
        ),
        content.plot(
            "shared",
            "Differences at the same points.",
            ["shared", "shared_points"],
            "There is no point yet that a method and the baseline have both trained.",
        ),
    )


def slices_section(content: PageContent) -> Html:
    """Return a method's trials along each hyperparameter; the page draws those of one method."""
    names = [name.split("/") for name in content.figures if name.startswith("slices/")]
    methods = list(dict.fromkeys(method for _, method, _ in names))
    if not methods:
        return content.section("slices", "Hyperparameters of a method", missing(NOT_YET))
    options = [element("option", method, value=method) for method in methods]
    label = element("label", "Method ", element("select", *options, id="slice-method"))
    return content.section(
        "slices",
        "Hyperparameters of a method",
        paragraph(
            "Filled: trained to the end. Open: stopped at a rung, its value is the rung's. Cross: "
            "diverged. Star and dotted line: published. Of very many trials the best and an even "
            "share of the others are drawn; the table has them all."
        ),
        element("p", label, " ", data_links(["slices"])),
        element("div", id="slice-plots", class_="grid", aria_live="polite"),
    )


def importances_section(content: PageContent) -> Html:
    """Return how much each hyperparameter decided."""
    return content.section(
        "importances",
        "What mattered",
        content.plot(
            "importances",
            "Share of each hyperparameter in being among the best trials (PED-ANOVA).",
            ["importances"],
            "Importances need 10 complete trials of a search.",
        ),
    )


def rungs_section(content: PageContent) -> Html:
    """Return whether the early rungs rank as the end does."""
    rows = [
        [
            f"step {row['step']:,}",
            _limits(row, "tau"),
            _limits(row, "regret"),
            _limits(row, "rate_bias"),
            "yes" if row["misleads"] else "no",
        ]
        for row in content.comparison.rung_summary.to_dict("records")
    ]
    headers = ("Rung", "Kendall's τ", "Regret, mIoU", "Rank shift and learning rate", "Misleads")
    reason = "The check needs anchor trials that have reached both a rung and the end."
    return content.section(
        "rungs",
        "Check of the rungs",
        paragraph(
            "Trials are stopped by how they rank at a rung. Anchors always run to the end, so they "
            "tell, without bias, whether the rung ranks as the end does; means over methods, 95 %."
        ),
        content.plot("rungs", "Agreement with the end.", ["rung_checks", "rung_summary"], reason),
        table("Rungs, means over methods", headers, rows) if rows else None,
    )


def widening_section(content: PageContent) -> Html:
    """Return best values at an edge, and searches that still improved."""
    comparison = content.comparison
    edges = [_edge(row) for row in comparison.edges.to_dict("records")]
    growing = [
        [row["method"], number(row["half_budget"], 0), number(row["gain"], sign="+")]
        for row in comparison.improvements.to_dict("records")
        if row["still_improving"]
    ]
    headers = ("Method", "Hyperparameter", "Best value", "Range", "Range to try")
    at_edges = table("Best values at the edge of their range", headers, edges)
    last = ("Method", "Half of the budget", "Gain since, mIoU")
    parts = [
        at_edges if edges else paragraph("No best value lies at the edge of its range."),
        table("Searches that still improved", last, growing)
        if growing
        else paragraph("No search gained more than a standard error in its last doubling."),
        paragraph(data_links(["edges", "improvements", "expected"])),
    ]
    return content.section("widening", "Where to search on", joined(parts))


def _edge(row: Row) -> list[Cell | str]:
    return [
        row["method"],
        row["hyperparameter"],
        Cell(shown=f"{row['value']:.3g}", key=row["value"]),
        f"{row['low']:.3g} to {row['high']:.3g}",
        f"{row['wider_low']:.3g} to {row['wider_high']:.3g}",
    ]


def _limits(row: Row, name: str) -> Cell:
    mean, low, high = (number(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    if low.shown == "-":
        return mean
    return Cell(shown=f"{mean.shown} ({low.shown} to {high.shown})", key=mean.key)
