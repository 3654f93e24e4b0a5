"""What the comparison found, in one sentence and four numbers."""

from __future__ import annotations

from typing import Any

from sweeper.comparison.theme import MARKS, kind_of
from sweeper.core.constants import BASELINE
from sweeper.report.content import PageContent
from sweeper.report.html import Html, element, paragraph

COUNTED = {"better": "better", "worse": "worse", "no gain": "no gain", "undecided": "undecided"}
Row = dict[Any, Any]


def headline(content: PageContent) -> Html:
    """Return the claim, how many methods have which verdict, and what must be known of all."""
    comparison = content.comparison
    rows = comparison.verdicts.to_dict("records")
    judged = [row for row in rows if row["verdict"]]
    is_claimed = bool(judged) and not content.audit.is_void
    found = element("p", _found(judged, content), class_="found")
    return element(
        "section",
        element("h2", "What was found", id="found-heading", class_="hidden"),
        found,
        _tiles([kind_of(row["verdict"]) for row in judged]) if is_claimed else None,
        paragraph(comparison.claim, "claim") if is_claimed else None,
        _unjudged(rows),
        _warnings(comparison.warnings),
        id="found",
        aria_labelledby="found-heading",
    )


def _found(judged: list[Row], content: PageContent) -> str:
    """Return the finding; the verdicts stand best first."""
    if content.audit.is_void:
        rules = ", ".join(finding.rule.title for finding in content.audit.broken)
        return f"Void: nothing may be claimed, since broken is rule {rules}."
    if not judged:
        return content.lack
    better = [row for row in judged if kind_of(row["verdict"]) == "better"]
    if not better:
        return f"None of {len(judged)} methods is shown to beat the equally tuned baseline."
    best = better[0]
    text = (
        f"{best['method']} beats the equally tuned baseline by {best['difference']:.2f} mIoU "
        f"(95\u00a0%: {best['low']:+.2f} to {best['high']:+.2f})"
    )
    rest = len(judged) - len(better)
    others = f"; {len(better) - 1} more do" if len(better) > 1 else ""
    return (
        f"{text}{others}; {rest} of {len(judged)} methods do not." if rest else f"{text}{others}."
    )


def _tiles(kinds: list[str]) -> Html:
    """Return a number a verdict; a loss at this budget counts as worse."""
    tiles = []
    for kind, name in COUNTED.items():
        count = sum(each.startswith(kind) for each in kinds)
        mark = element("span", MARKS[kind].sign, aria_hidden="true", class_="sign")
        number = element("span", count, class_="count")
        style = f"--mark:{MARKS[kind].colour}"
        tiles.append(element("li", mark, number, element("span", name), style=style))
    return element("ul", *tiles, class_="tiles")


def _unjudged(rows: list[Row]) -> Html | None:
    """Return which methods have no verdict, and why."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["reason"] and row["method"] != BASELINE:
            reasons.setdefault(row["reason"], []).append(row["method"])
    if not reasons:
        return None
    items = [element("li", f"{', '.join(names)}: {why}") for why, names in reasons.items()]
    return element("div", paragraph("Without a verdict:"), element("ul", *items))


def _warnings(warnings: list[str]) -> Html | None:
    if not warnings:
        return None
    items = [element("li", warning) for warning in warnings]
    return element("div", element("h3", "To be known"), element("ul", *items), class_="warnings")
