"""All that a page is made from, gathered once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plotly.graph_objects import Figure

from sweeper.audit.run import Audit
from sweeper.comparison.comparison import Comparison
from sweeper.report.html import Html, element, missing, section
from sweeper.report.plots import plot


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """A comparison, its figures, and what must be said on every page."""

    comparison: Comparison
    figures: Mapping[str, Figure]
    audit: Audit
    version: str

    @property
    def brief(self) -> str:
        """The audit in a few words: what voids it, then what it warns of."""
        void = ", ".join(finding.rule.title for finding in self.audit.broken)
        warned = [f.rule.name for f in self.audit.findings if f.stamps and not f.voids]
        parts = [f"void: rule {void}" if void else ""]
        parts += [f"audit warns: {', '.join(warned)}"] if warned else []
        return "; ".join(part for part in parts if part)

    @property
    def lack(self) -> str:
        """Why nothing that needs confirmations can be shown."""
        evidence = self.comparison.evidence
        if not evidence.stages:
            return (
                "Nothing is confirmed yet, so nothing is claimed: values of a search favour who "
                "searched. To train the choices again with fresh seeds: sweeper confirm "
                f"{evidence.name}"
            )
        return f"The confirmation is not finished; go on with: sweeper confirm {evidence.name}"

    def plot(self, name: str, title: str, tables: Sequence[str], reason: str) -> Html:
        """Return a figure, or the reason why there is none."""
        drawn = self.figures.get(name)
        return missing(reason) if drawn is None else plot(name, drawn, title, tables)

    def section(self, identifier: str, title: str, *content: object) -> Html:
        """Return a section whose head says again what is said on top of the page."""
        said = element("a", self.brief, href="#stamps", class_="stamp") if self.brief else None
        return section(identifier, title, said, *content)
