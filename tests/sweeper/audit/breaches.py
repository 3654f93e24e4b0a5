"""Rules that are broken by plain SQL in the sound store, and what the audit must say of it.

Studies 1, 2, 3 are the searches of baseline, kd and rdd; 4, 5, 6 and 7, 8, 9 their confirmations.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from sqlalchemy import Engine, text

from sweeper.audit.finding import Finding, State
from sweeper.audit.rules import RULES
from sweeper.audit.run import Audit, run_audit
from sweeper.comparison.evidence import read_evidence
from tests.sweeper.digested import add_all_digests


@dataclass(frozen=True)
class Breach:
    """How a rule is broken, and what is said of it."""

    rule: str
    statements: str
    said: str
    seen_by: tuple[str, ...] = ()  # rules that see the same breach from another side
    is_digested: bool = True  # whether what it changes has a digest
    is_stamp: bool = False  # whether it voids nothing, and is said with every result

    def __str__(self) -> str:
        return f"{self.rule}: {self.said}"


def rules_checked_in(module: ModuleType) -> list[str]:
    """Return the names of the rules whose checks stand in a module."""
    return [rule.name for rule in RULES if rule.check.__module__ == module.__name__]


def spoil(engine: Engine, statements: str, *, noted: bool = True) -> None:
    """Change the store; `noted` rewrites the digests as well, as only its owner would."""
    with engine.begin() as connection:
        for statement in statements.split("; "):
            assert connection.execute(text(statement.replace(":", "\\:"))).rowcount
        if noted:
            add_all_digests(connection)


def audit(engine: Engine) -> Audit:
    """Return the audit of the sweep, its proposals planned once more."""
    return run_audit(read_evidence(engine, "demo"), replay=True)


def states(found: Audit) -> dict[str, State]:
    """Return the states of the rules that do not hold."""
    return {f.rule.name: f.state for f in found.findings if f.state is not State.HOLDS}


def finding_of(found: Audit, name: str) -> Finding:
    """Return what was found of one rule."""
    [finding] = [each for each in found.findings if each.rule.name == name]
    return finding


def assert_caught_and_named(breach: Breach, sound: Engine) -> None:
    """Check that this rule, and no other than may, is broken, and that every stamp says so."""
    [rule] = [rule for rule in RULES if rule.name == breach.rule]
    spoil(sound, breach.statements, noted=rule.name != "log")
    found = audit(sound)
    own = {rule.name: State.BROKEN if rule.voids else State.WARNING}
    expected = own | dict.fromkeys(breach.seen_by, State.BROKEN)
    assert states(found) == expected, [f.evidence for f in found.findings]
    assert breach.said in finding_of(found, rule.name).evidence
    assert any(breach.said in stamp for stamp in found.stamps)
    assert found.is_void == (State.BROKEN in expected.values())


def assert_caught_by_the_log(breach: Breach, sound: Engine) -> None:
    """Check that a digest tells of the change."""
    spoil(sound, breach.statements, noted=False)
    assert finding_of(audit(sound), "log").state is State.BROKEN


def assert_said(breach: Breach, sound: Engine) -> None:
    """Check that the rule is broken, or that the breach is said with every result."""
    spoil(sound, breach.statements)
    found = audit(sound)
    finding = finding_of(found, breach.rule)
    assert finding.state is (State.WARNING if breach.is_stamp else State.BROKEN), finding.evidence
    said = found.stamps if breach.is_stamp else [finding.evidence]
    assert any(breach.said in each for each in said)
