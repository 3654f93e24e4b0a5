"""Values of another step, rungs judged wrongly, seeds of their own, best values at an edge."""

from __future__ import annotations

from sweeper.audit import score_rules
from tests.sweeper.audit.breaches import Breach, FurtherBreachTests

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


class TestScoreRules(FurtherBreachTests):
    """Each rule of the module, broken in the sound store."""

    module = score_rules
    broken = BROKEN
    further = FURTHER
