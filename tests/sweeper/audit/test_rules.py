"""Each rule is broken once, by plain SQL in a sound store, and the audit says which it was."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from sweeper.audit.finding import Finding, State
from sweeper.audit.rules import RULES
from sweeper.audit.run import Audit, require_sound, run_audit
from sweeper.comparison.evidence import read_evidence
from sweeper.core.errors import SweeperError
from tests.sweeper.audit.remarks import SAID
from tests.sweeper.audit.sabotage import ALONGSIDE, ALSO, BROKEN, UNNOTED
from tests.sweeper.digested import add_all_digests


def spoil(engine: Engine, statements: str, *, noted: bool = True) -> None:
    """Change the store; `noted` rewrites the digests as well, as only its owner would."""
    with engine.begin() as connection:
        for statement in statements.split("; "):
            assert connection.execute(text(statement.replace(":", "\\:"))).rowcount
        if noted:
            add_all_digests(connection)


def audit(engine: Engine) -> Audit:
    return run_audit(read_evidence(engine, "demo"), replay=True)


def states(found: Audit) -> dict[str, State]:
    return {f.rule.name: f.state for f in found.findings if f.state is not State.HOLDS}


def test_a_sound_sweep_breaks_no_rule_and_needs_no_stamp(sound: Engine) -> None:
    found = audit(sound)
    assert states(found) == {}, [f.evidence for f in found.findings]
    assert (found.is_void, found.stamps) == (False, ())
    require_sound(found, allow_unequal=False)


def test_every_rule_is_broken_here() -> None:
    assert list(BROKEN) == [rule.name for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_broken_rule_is_caught_and_named(rule: Any, sound: Engine) -> None:
    statements, said = BROKEN[rule.name]
    spoil(sound, statements, noted=rule.name != "log")
    found = audit(sound)
    own = {rule.name: State.BROKEN if rule.voids else State.WARNING}
    expected = own | dict.fromkeys(ALONGSIDE.get(rule.name, ()), State.BROKEN)
    assert states(found) == expected, [f.evidence for f in found.findings]
    assert said in finding_of(found, rule.name).evidence
    assert any(said in stamp for stamp in found.stamps)
    assert found.is_void == (State.BROKEN in expected.values())


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.name not in UNNOTED], ids=lambda rule: rule.name
)
def test_whoever_does_not_rewrite_the_log_as_well_is_caught_by_it(rule: Any, sound: Engine) -> None:
    spoil(sound, BROKEN[rule.name][0], noted=False)
    assert finding_of(audit(sound), "log").state is State.BROKEN


def test_without_a_replay_the_proposals_are_left_to_the_audit(sound: Engine) -> None:
    spoil(sound, BROKEN["proposals"][0])
    found = run_audit(read_evidence(sound, "demo"))
    assert finding_of(found, "proposals").state is State.OPEN
    assert not found.is_void


def finding_of(found: Audit, name: str) -> Finding:
    [finding] = [each for each in found.findings if each.rule.name == name]
    return finding


@pytest.mark.parametrize(("name", "statements", "said"), ALSO)
def test_other_breaches_are_caught(name: str, statements: str, said: str, sound: Engine) -> None:
    spoil(sound, statements)
    finding = finding_of(audit(sound), name)
    assert finding.state is State.BROKEN, finding.evidence
    assert said in finding.evidence


@pytest.mark.parametrize(("name", "statements", "said"), SAID)
def test_what_voids_nothing_is_a_stamp(
    name: str, statements: str, said: str, sound: Engine
) -> None:
    spoil(sound, statements)
    found = audit(sound)
    assert finding_of(found, name).state is State.WARNING, finding_of(found, name).evidence
    assert any(said in stamp for stamp in found.stamps)


def test_a_void_comparison_is_refused_unless_it_is_asked_for(sound: Engine) -> None:
    spoil(sound, BROKEN["budget"][0])
    found = audit(sound)
    with pytest.raises(SweeperError, match=r"rule 3 budget\): see `sweeper audit demo`"):
        require_sound(found, allow_unequal=False)
    require_sound(found, allow_unequal=True)
    assert found.stamps[0].startswith("void: rule 3 budget is broken: kd")
