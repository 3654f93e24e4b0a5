"""Rules that are broken by plain SQL in the sound store, and what the audit must say of it.

Studies 1, 2, 3 are the searches of baseline, kd and rdd; 4, 5, 6 and 7, 8, 9 their confirmations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import pytest
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


class BreachTests:
    """The tests of one module's rules; a subclass says how to break them."""

    module: ClassVar[ModuleType]
    broken: ClassVar[Sequence[Breach]]  # one for each rule of the module, in their order

    def breaches(self) -> dict[str, Sequence[Breach]]:
        """Return the breaches by the name under which a test takes one."""
        digested = [breach for breach in self.broken if breach.is_digested]
        return {"broken": self.broken, "digested": digested}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each test that takes a breach those that it is about."""
        for name, breaches in self.breaches().items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, breaches, ids=str)

    def test_every_rule_of_the_module_is_broken_here(self) -> None:
        """A rule that is added without a breach fails here."""
        own = [rule.name for rule in RULES if rule.check.__module__ == self.module.__name__]
        assert [breach.rule for breach in self.broken] == own

    def test_a_broken_rule_is_caught_and_named(self, broken: Breach, sound: Engine) -> None:
        """The rule, and no other than may, is broken, and every stamp says so."""
        [rule] = [rule for rule in RULES if rule.name == broken.rule]
        spoil(sound, broken.statements, noted=rule.name != "log")
        found = audit(sound)
        own = {rule.name: State.BROKEN if rule.voids else State.WARNING}
        expected = own | dict.fromkeys(broken.seen_by, State.BROKEN)
        assert states(found) == expected, [f.evidence for f in found.findings]
        assert broken.said in finding_of(found, rule.name).evidence
        assert any(broken.said in stamp for stamp in found.stamps)
        assert found.is_void == (State.BROKEN in expected.values())

    def test_whoever_does_not_rewrite_the_log_as_well_is_caught_by_it(
        self, digested: Breach, sound: Engine
    ) -> None:
        """A digest tells of the change."""
        spoil(sound, digested.statements, noted=False)
        assert finding_of(audit(sound), "log").state is State.BROKEN


class FurtherBreachTests(BreachTests):
    """The tests of a module whose rules can be broken in other ways as well."""

    further: ClassVar[Sequence[Breach]]  # some break other rules too

    def breaches(self) -> dict[str, Sequence[Breach]]:
        """Return the breaches by the name under which a test takes one."""
        return {**super().breaches(), "further": self.further}

    def test_other_breaches_are_caught_and_what_voids_nothing_is_a_stamp(
        self, further: Breach, sound: Engine
    ) -> None:
        """The rule is broken, or the breach is said with every result."""
        spoil(sound, further.statements)
        found = audit(sound)
        finding = finding_of(found, further.rule)
        expected = State.WARNING if further.is_stamp else State.BROKEN
        assert finding.state is expected, finding.evidence
        said = found.stamps if further.is_stamp else [finding.evidence]
        assert any(further.said in each for each in said)
