"""Confirmations that were read, seeded, counted or staged otherwise than declared."""

from __future__ import annotations

from sweeper.audit import confirmation_rules
from sweeper.search.seeds import training_seed
from tests.sweeper.audit.breaches import Breach, FurtherBreachTests
from tests.sweeper.synthetic import SEED

BROKEN = [
    Breach(
        "splits",
        "INSERT INTO sweeper.confusion (study_id, number, content, recorded_at) "
        "SELECT study_id, number, 'x', finished_at FROM sweeper.trial "
        "WHERE study_id = 2 AND number = 12",
        "demo/kd#12 was evaluated on the reported split",
        is_digested=False,
    ),
    Breach(
        "published and tuned",
        "UPDATE sweeper.trial SET params = params || '{\"temperature\": 1.5}' "
        "WHERE study_id = 5 AND origin = 'published'",
        "stage 1 kd published seed",
    ),
    Breach(
        "fresh seeds",
        f"UPDATE sweeper.segment SET seed = {training_seed(SEED, 1)} FROM sweeper.segment_member m "
        "WHERE m.segment_id = id AND m.study_id = 5 AND m.number = 0; "
        f"UPDATE sweeper.trial SET seed = {training_seed(SEED, 1)} "
        "WHERE study_id = 5 AND number IN (0, 1)",
        "stage 1 kd published seed",
    ),
    Breach(
        "declared numbers",
        "DELETE FROM sweeper.trial WHERE study_id = 5 AND number = 3",
        "stage 1 kd tuned: 1 runs instead of 2",
    ),
    Breach(
        "one reading",
        "DELETE FROM sweeper.confusion WHERE study_id = 5 AND number = 1",
        "stage 1 kd tuned seed",
        seen_by=("values",),
    ),
    Breach(
        "incumbents",
        "UPDATE sweeper.trial SET score = 41.3 WHERE study_id = 2 AND number = 14; "
        "UPDATE sweeper.rung SET score = 41.3, class_iou = '[41.3, null, 41.3]' "
        "WHERE study_id = 2 AND number = 14 AND index = 1",
        "kd: #1 was confirmed, #14 is best",
    ),
    Breach(
        "stages",
        "UPDATE sweeper.sweep SET created_at = created_at - interval '1 day' "
        "WHERE name = 'demo:confirm-2'",
        "stage 2 was declared before the end of the first",
        seen_by=("incumbents",),
    ),
]
FURTHER = [  # ways to break a rule as well; some break others too
    Breach(
        "splits",
        "UPDATE sweeper.segment SET sweep_id = 2 WHERE id = 1",
        "demo/baseline#0 was evaluated on the reported split",
    ),
    Breach(
        "published and tuned",
        "DELETE FROM sweeper.trial WHERE study_id = 5 AND origin = 'published'",
        "stage 1 kd: no published run",
    ),
    Breach(
        "fresh seeds",
        "UPDATE sweeper.segment SET seed = 5 WHERE sweep_id = 3",
        "stage 2 baseline published seed",
    ),
    Breach(
        "declared numbers",
        "INSERT INTO sweeper.trial SELECT (jsonb_populate_record(t, '{\"number\": 77}')).* "
        "FROM sweeper.trial t WHERE study_id = 6 AND number = 1",
        "stage 1 rdd tuned: 3 runs instead of 2",
    ),
    Breach(
        "one reading",
        "UPDATE sweeper.trial SET state = 'PRUNED', score = NULL WHERE study_id = 6 AND number = 0",
        "was read, but has no value",
    ),
    Breach(
        "one reading",
        "UPDATE sweeper.segment_member SET ending = 'lost' WHERE study_id = 6 AND number = 0",
        "was not read exactly once",
    ),
    Breach(
        "incumbents",
        "UPDATE sweeper.trial SET finished_at = clock_timestamp() WHERE study_id = 2",
        "demo/kd#0 ended after the choice",
    ),
    Breach(
        "stages",
        "UPDATE sweeper.sweep SET protocol = jsonb_set(protocol, '{confirmation,delta}', '0.1') "
        "WHERE id = 3",
        "stage 2 changed delta",
    ),
    Breach(
        "stages", "UPDATE sweeper.sweep SET stage = 3 WHERE id = 3", "stages 1, 3 instead of 1 to 2"
    ),
    Breach(
        "stages",
        "UPDATE sweeper.sweep SET protocol = jsonb_set(protocol, '{confirmation,stages}', '1') "
        "WHERE confirms = 1",
        "the second stage was declared after the first was seen",
        is_stamp=True,
    ),
    Breach(
        "declared numbers",
        "UPDATE sweeper.trial SET state = 'FAIL', score = NULL WHERE study_id = 6 AND number = 0; "
        "DELETE FROM sweeper.confusion WHERE study_id = 6 AND number = 0",
        "1 confirmation failed",
        is_stamp=True,
    ),
]


class TestConfirmationRules(FurtherBreachTests):
    """Each rule of the module, broken in the sound store."""

    module = confirmation_rules
    broken = BROKEN
    further = FURTHER
