"""What the audit says of a sweep, for the page."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sweeper.report.content import PageContent
from sweeper.report.html import Cell, Html, details, element, paragraph, table

SIGNS: Mapping[str, str] = MappingProxyType(
    {"broken": "✕", "warning": "!", "not checked yet": "…", "holds": "✓"}
)  # worst first


def audit_section(content: PageContent) -> Html:
    """Return what is known of every rule of a fair comparison, in the order of the rules."""
    order, audit = list(SIGNS), content.audit
    rows: list[list[Cell | str]] = [
        [
            f.rule.title,
            Cell(
                shown=f"{SIGNS[f.state.value]} {f.state.value}", key=str(order.index(f.state.value))
            ),
            f.evidence,
        ]
        for f in audit.findings
    ]
    holding = sum(f.state.value == "holds" for f in audit.findings)
    asked = [element("li", f"{f.rule.title}: {f.rule.text}") for f in audit.findings]
    return content.section(
        "audit",
        "Is it fair?",
        paragraph(
            f"{holding} of {len(rows)} rules hold, checked from the store by sweeper audit "
            f"{audit.name}. A broken rule voids the comparison; a warning is said on every page."
        ),
        table("The rules of a fair comparison", ("Rule", "State", "Evidence"), rows),
        details("What each rule asks", element("ul", *asked)),
    )
