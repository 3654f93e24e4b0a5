"""Values without their matrices, trials without their segments, terms and rows changed later."""

from __future__ import annotations

from sweeper.audit import evidence_rules
from tests.sweeper.audit.breaches import Breach, BreachTests

BROKEN = [
    Breach(
        "values",
        "UPDATE sweeper.trial SET score = score + 10 WHERE study_id = 5; "
        "UPDATE sweeper.rung SET score = score + 10, class_iou = "
        "jsonb_build_array(score + 10, score + 10, score + 10) WHERE study_id = 5",
        "mIoU is not what its confusion matrices give",
    ),
    Breach(
        "segments",
        "UPDATE sweeper.segment_member SET weights_hash = 'other' "
        "WHERE study_id = 2 AND number = 12",
        "demo/kd#12: its weights at step 26 are not those of the segment",
    ),
    Breach(
        "terms",
        'UPDATE sweeper.launch SET provenance = provenance || \'{"protocol_hash": "other"}\' '
        "WHERE sweep_id = 2",
        "demo:confirm-1: a launch of it went by other terms",
    ),
    Breach(
        "log",
        "UPDATE sweeper.segment_member SET losses = '[[5, 1.0]]' "
        "WHERE study_id = 2 AND number = 12 AND segment_id = 7",
        "segment 7/2/12 was changed after it was recorded",
    ),
    Breach(
        "other readings",
        "; ".join(
            (
                'INSERT INTO sweeper.sweep SELECT (jsonb_populate_record(t, \'{"id": 98, '
                '"name": "again", "confirms": null, "stage": null}\')).* '
                "FROM sweeper.sweep t WHERE id = 2",
                'INSERT INTO sweeper.study SELECT (jsonb_populate_record(t, \'{"id": 97, '
                '"sweep_id": 98}\')).* FROM sweeper.study t WHERE id = 5',
                *(
                    f"INSERT INTO sweeper.{table} SELECT (jsonb_populate_record(t, "
                    f"'{{\"study_id\": 97}}')).* FROM sweeper.{table} t WHERE study_id = 5"
                    for table in ("trial", "confusion")
                ),
            )
        ),
        "the reported split was read 4 times for other sweeps: again 4 (first 20",
        is_digested=False,
    ),
]


class TestEvidenceRules(BreachTests):
    """Each rule of the module, broken in the sound store."""

    module = evidence_rules
    broken = BROKEN
