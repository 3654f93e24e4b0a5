"""Trials that published values, Sobol sequence and TPE do not lead to."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sweeper.audit import proposal_rules
from sweeper.audit.finding import State
from sweeper.audit.run import run_audit
from sweeper.comparison.evidence import read_evidence
from tests.sweeper.audit.breaches import (
    Breach,
    assert_caught_and_named,
    assert_caught_by_the_log,
    assert_said,
    finding_of,
    rules_checked_in,
    spoil,
)

BROKEN = [
    Breach(
        "proposals",
        "UPDATE sweeper.trial SET params = params || '{\"weight_decay\": 0.001}' "
        "WHERE study_id = 2 AND number = 10",
        "demo/kd#10 is not what the sampler proposes",
    ),
]
FURTHER = [  # ways to break a rule as well; some break others too
    Breach(
        "proposals",
        'UPDATE sweeper.launch SET provenance = provenance || \'{"processor": "another"}\'; '
        "UPDATE sweeper.trial SET params = params || '{\"weight_decay\": 0.001}' "
        "WHERE study_id = 2 AND number = 10",
        "1 proposal cannot be replayed here: it was planned on another, this is ",
        is_stamp=True,
    ),
]


def test_every_rule_of_the_module_is_broken_here() -> None:
    assert [breach.rule for breach in BROKEN] == rules_checked_in(proposal_rules)


@pytest.mark.parametrize("breach", BROKEN, ids=str)
def test_a_broken_rule_is_caught_and_named(breach: Breach, sound: Engine) -> None:
    assert_caught_and_named(breach, sound)


@pytest.mark.parametrize("breach", [b for b in BROKEN if b.is_digested], ids=str)
def test_whoever_does_not_rewrite_the_log_as_well_is_caught_by_it(
    breach: Breach, sound: Engine
) -> None:
    assert_caught_by_the_log(breach, sound)


@pytest.mark.parametrize("breach", FURTHER, ids=str)
def test_other_breaches_are_caught_and_what_voids_nothing_is_a_stamp(
    breach: Breach, sound: Engine
) -> None:
    assert_said(breach, sound)


def test_without_a_replay_the_proposals_are_left_to_the_audit(sound: Engine) -> None:
    spoil(sound, BROKEN[0].statements)
    found = run_audit(read_evidence(sound, "demo"))
    assert finding_of(found, "proposals").state is State.OPEN
    assert not found.is_void
