"""Trials that published values, Sobol sequence and TPE do not lead to."""

from __future__ import annotations

from sqlalchemy import Engine

from sweeper.audit import proposal_rules
from sweeper.audit.finding import State
from sweeper.audit.run import run_audit
from sweeper.comparison.evidence import read_evidence
from tests.sweeper.audit.breaches import Breach, FurtherBreachTests, finding_of, spoil

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


class TestProposalRules(FurtherBreachTests):
    """Each rule of the module, broken in the sound store."""

    module = proposal_rules
    broken = BROKEN
    further = FURTHER


def test_without_a_replay_the_proposals_are_left_to_the_audit(sound: Engine) -> None:
    spoil(sound, BROKEN[0].statements)
    found = run_audit(read_evidence(sound, "demo"))
    assert finding_of(found, "proposals").state is State.OPEN
    assert not found.is_void
