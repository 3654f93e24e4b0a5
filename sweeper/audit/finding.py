"""A rule of a fair comparison, and what the store says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sweeper.comparison.evidence import Evidence

MOST_FAULTS = 3  # that a finding spells out


class State(StrEnum):
    """What is known of a rule."""

    HOLDS = "holds"
    BROKEN = "broken"
    WARNING = "warning"
    OPEN = "not checked yet"


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What was seen of one rule; every fault and remark is a short phrase that names its place."""

    seen: str  # in figures
    faults: Sequence[str] = ()  # the rule is not kept
    remarks: Sequence[str] = ()  # it is kept, but not all is well
    awaits: str = ""  # what has to come before it can be checked


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule; `text` says what is asked and what a breach means."""

    number: int
    name: str
    text: str
    voids: bool  # a breach voids the comparison; of the others it is said with every result
    check: Callable[[Evidence], CheckResult]
    replays: bool = False  # the search is planned once more for it

    @property
    def title(self) -> str:
        """Its number and name."""
        return f"{self.number} {self.name}"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is known of one rule of one sweep."""

    rule: Rule
    state: State
    evidence: str  # one line: what was looked at, what is amiss
    stamps: tuple[str, ...] = ()  # that every page must say

    @property
    def voids(self) -> bool:
        """Whether the comparison is void because of it."""
        return self.state is State.BROKEN


def find(rule: Rule, evidence: Evidence) -> Finding:
    """Return what the evidence says of a rule; a breach outweighs what is still to come."""
    check = rule.check(evidence)
    faults = tuple(check.faults) if rule.voids else ()
    remarks = tuple(check.remarks) if rule.voids else (*check.faults, *check.remarks)
    if faults:
        state = State.BROKEN
    elif check.awaits:
        state = State.OPEN
    else:
        state = State.WARNING if remarks else State.HOLDS
    stamps = remarks
    if faults:
        stamps = (f"void: rule {rule.title} is broken: {_listed(faults)}", *remarks)
    parts = [_listed(faults), _listed(remarks), check.awaits, check.seen]
    return Finding(rule=rule, state=state, evidence="; ".join(p for p in parts if p), stamps=stamps)


def _listed(phrases: Sequence[str]) -> str:
    more = len(phrases) - MOST_FAULTS
    return ", ".join(phrases[:MOST_FAULTS]) + (f" and {more} more" if more > 0 else "")
