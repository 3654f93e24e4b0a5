"""Values of another step, rungs judged wrongly, seeds of their own, best values at an edge."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sweeper.audit import score_rules
from tests.sweeper.audit.breaches import (
    Breach,
    assert_caught_and_named,
    assert_caught_by_the_log,
    assert_said,
    rules_checked_in,
)

BROKEN = [
    Breach(
        "last step",
        "UPDATE sweeper.trial SET score = score + 0.25 WHERE study_id = 2 AND number = 12",
        "demo/kd#12 has a value of another step",
        seen_by=("values",),
    ),
    Breach(
        "judging",
        "UPDATE sweeper.rung SET score = 1 WHERE study_id = 2 AND number = 12 AND index = 0",
        "kd bracket 1: step 26 judged #8, #12 wrongly",
        seen_by=("values",),
    ),
    Breach(
        "rungs",
        "UPDATE sweeper.rung SET score = 60 - score, class_iou = "
        "jsonb_build_array(60 - score, null, 60 - score) "
        "WHERE index = 0 AND number < 8 AND study_id < 4",
        "the rung at step 26 misleads",
    ),
    Breach(
        "training seeds",
        "UPDATE sweeper.segment SET seed = 5 WHERE sweep_id = 1 AND id = 1",
        "demo/baseline#0 was trained with another seed",
    ),
    Breach(
        "room",
        "UPDATE sweeper.trial SET params = params || '{\"multiplier\": 9.9}' "
        "WHERE study_id = 2 AND number = 1; "
        "UPDATE sweeper.trial SET params = params || '{\"multiplier\": 9.9}' "
        "WHERE study_id IN (5, 8) AND origin = 'tuned'",
        "best value at the edge of its range: kd multiplier (high)",
        seen_by=("proposals",),
    ),
]
FURTHER = [  # ways to break a rule as well; some break others too
    Breach(
        "last step",
        "UPDATE sweeper.rung SET class_iou = '[50, 20, 30.5]' WHERE study_id = 1 AND number = 1",
        "2 evaluations counted other classes",
    ),
    Breach(
        "last step",
        "UPDATE sweeper.trial SET score = 30 WHERE study_id = 1 AND number = 5",
        "demo/baseline#5 diverged and has a value",
    ),
    Breach(
        "room",
        "UPDATE sweeper.trial SET score = score - 5 WHERE study_id = 3 AND number < 8; "
        "UPDATE sweeper.rung SET score = score - 5 WHERE study_id = 3 AND number < 8",
        "still improving: rdd",
        is_stamp=True,
    ),
]


def test_every_rule_of_the_module_is_broken_here() -> None:
    assert [breach.rule for breach in BROKEN] == rules_checked_in(score_rules)


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
