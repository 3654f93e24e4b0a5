"""Going through the rules, and refusing to compare what they void."""

from __future__ import annotations

from dataclasses import dataclass

from sweeper.audit.finding import Finding, Rule, State, find
from sweeper.audit.rules import RULES
from sweeper.comparison.evidence import Evidence, readable_records
from sweeper.core.errors import SweeperError
from sweeper.core.names import family_name


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What is known of every rule of a sweep."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The findings that void the comparison."""
        return tuple(finding for finding in self.findings if finding.voids)

    @property
    def is_void(self) -> bool:
        """Whether nothing may be claimed from the sweep."""
        return bool(self.broken)

    @property
    def stamps(self) -> tuple[str, ...]:
        """What every page about the sweep must say, what voids it first."""
        ordered = sorted(self.findings, key=lambda finding: not finding.voids)
        return tuple(dict.fromkeys(stamp for finding in ordered for stamp in finding.stamps))


def run_audit(evidence: Evidence, *, replay: bool = False) -> Audit:
    """Return what the store says of every rule; SweeperError for a stage instead of its sweep.

    With `replay` the search is planned once more, which takes 3 to 10 ms a trial.
    """
    if "confirmation" in evidence.protocol:
        parent = family_name(evidence.name)
        raise SweeperError(
            f"{evidence.name} is a confirmation, which is audited with the sweep it confirms: "
            f"sweeper audit {parent}"
        )
    with readable_records(evidence.engine, evidence.sweep_id, evidence.name):
        findings = tuple(
            find(rule, evidence) if replay or not rule.replays else _left_to_audit(rule, evidence)
            for rule in RULES
        )
    return Audit(name=evidence.name, findings=findings)


def _left_to_audit(rule: Rule, evidence: Evidence) -> Finding:
    return Finding(rule=rule, state=State.OPEN, evidence=f"see sweeper audit {evidence.name}")


def require_sound(audit: Audit, allow_unequal: bool) -> None:
    """Raise SweeperError, naming the broken rules, where the comparison is void.

    With `allow_unequal` it passes: the audit's stamps then say on every page what is broken.
    """
    if not audit.is_void or allow_unequal:
        return
    rules = ", ".join(finding.rule.title for finding in audit.broken)
    raise SweeperError(
        f"sweep {audit.name} breaks what makes a comparison fair (rule {rules}): see "
        f"`sweeper audit {audit.name}`; --allow-unequal goes on, and says so on every page"
    )
