"""How to break each rule by plain SQL in the sound store, and what the audit says of it then."""

from __future__ import annotations

import json

from sweeper.search.seeds import training_seed
from sweeper.search.space import Space
from tests.sweeper.synthetic import SEED, space_of


def copied(table: str, column: str, **more: int) -> str:
    """Return a statement that gives the baseline's rows a second search, number 99."""
    changed = json.dumps({column: 99, **more})
    record = f"(jsonb_populate_record(t, '{changed}')).*"
    return f"INSERT INTO sweeper.{table} SELECT {record} FROM sweeper.{table} t WHERE {column} = 1"


def respaced(space: Space) -> str:
    """Return a statement that gives kd, wherever it stands, another space, hash and all."""
    content = json.dumps(space.model_dump(mode="json"))
    values = f"space = '{content}', space_hash = '{space.hash}'"
    return f"UPDATE sweeper.study SET {values} WHERE method = 'kd'"


def changed_space(place: int, **values: object) -> Space:
    dimensions = list(space_of("kd").dimensions)
    dimensions[place] = dimensions[place].model_copy(update=values)
    return Space(method="kd", dimensions=tuple(dimensions))


# Studies 1, 2, 3 are the searches of baseline, kd and rdd; 4, 5, 6 and 7, 8, 9 their confirmations.
BROKEN = {  # rule -> the statement that breaks it, what the audit says of it
    "baseline": (
        "; ".join(
            (
                copied("study", "id", repeat=2),
                *(copied(table, "study_id") for table in ("bracket", "trial", "rung")),
            )
        ),
        "baseline: 2 searches instead of 1",
    ),
    "protocol": (
        "UPDATE sweeper.sweep SET protocol = jsonb_set(protocol, '{numerics,version}', '99') "
        "WHERE id = 1",
        "the protocol of demo was changed",
    ),
    "budget": (
        "UPDATE sweeper.bracket SET planned_steps = 999 WHERE study_id = 2 AND index = 1",
        "kd: bracket 1 was allowed 999 steps, not 370",
    ),
    "dimensions": (
        respaced(changed_space(0, high=0.5)),
        "kd: another range of learning_rate",
    ),
    "ranges": (
        "UPDATE sweeper.study SET calibration = calibration || '{\"equal\": 3}' WHERE id = 2",
        "kd: m1 = 3, but its gradient-norm ratios give 1",
    ),
    "start": (
        "UPDATE sweeper.trial SET params = params || '{\"learning_rate\": 0.01}' "
        "WHERE study_id = 2 AND number = 6",
        "demo/kd#6 starts elsewhere",
    ),
    "splits": (
        "INSERT INTO sweeper.confusion (study_id, number, content, recorded_at) "
        "SELECT study_id, number, 'x', finished_at FROM sweeper.trial "
        "WHERE study_id = 2 AND number = 12",
        "demo/kd#12 was evaluated on the reported split",
    ),
    "last step": (
        "UPDATE sweeper.trial SET score = score + 0.25 WHERE study_id = 2 AND number = 12",
        "demo/kd#12 has a value of another step",
    ),
    "judging": (
        "UPDATE sweeper.rung SET score = 1 WHERE study_id = 2 AND number = 12 AND index = 0",
        "kd bracket 1: step 26 judged #8, #12 wrongly",
    ),
    "rungs": (
        "UPDATE sweeper.rung SET score = 60 - score, class_iou = "
        "jsonb_build_array(60 - value, null, 60 - value) "
        "WHERE index = 0 AND number < 8 AND study_id < 4",
        "the rung at step 26 misleads",
    ),
    "published and tuned": (
        "UPDATE sweeper.trial SET params = params || '{\"temperature\": 1.5}' "
        "WHERE study_id = 5 AND origin = 'published'",
        "stage 1 kd published seed",
    ),
    "teacher": (
        "UPDATE sweeper.sweep SET teacher_hash = 'other' WHERE name = 'demo:confirm-2'",
        "demo:confirm-2 was trained under another teacher",
    ),
    "teacher's lead": (
        "UPDATE sweeper.artifact SET metrics = '{\"score\": 43.4}'",
        "weak teacher",
    ),
    "records": (
        "UPDATE sweeper.launch SET provenance = jsonb_set(provenance, '{git,dirty}', 'true') "
        "WHERE sweep_id = 1",
        "searched with a dirty checkout",
    ),
    "training seeds": (
        "UPDATE sweeper.segment SET seed = 5 WHERE sweep_id = 1 AND id = 1",
        "demo/baseline#0 was trained with another seed",
    ),
    "fresh seeds": (
        f"UPDATE sweeper.segment SET seed = {training_seed(SEED, 1)} FROM sweeper.segment_member m "
        "WHERE m.segment_id = id AND m.study_id = 5 AND m.number = 0; "
        f"UPDATE sweeper.trial SET seed = {training_seed(SEED, 1)} "
        "WHERE study_id = 5 AND number IN (0, 1)",
        "stage 1 kd published seed",
    ),
    "declared numbers": (
        "DELETE FROM sweeper.trial WHERE study_id = 5 AND number = 3",
        "stage 1 kd tuned: 1 runs instead of 2",
    ),
    "one reading": (
        "DELETE FROM sweeper.confusion WHERE study_id = 5 AND number = 1",
        "stage 1 kd tuned seed",
    ),
    "incumbents": (
        "UPDATE sweeper.trial SET score = 41.3 WHERE study_id = 2 AND number = 14; "
        "UPDATE sweeper.rung SET score = 41.3, class_iou = '[41.3, null, 41.3]' "
        "WHERE study_id = 2 AND number = 14 AND index = 1",
        "kd: #1 was confirmed, #14 is best",
    ),
    "stages": (
        "UPDATE sweeper.sweep SET created_at = created_at - interval '1 day' "
        "WHERE name = 'demo:confirm-2'",
        "stage 2 was declared before the end of the first",
    ),
    "deletions": (
        "INSERT INTO sweeper.event (sweep_id, kind, detail) VALUES (1, 'confirmation deleted', "
        '\'{"name": "demo:confirm-1", "readings": 9}\')',
        "demo:confirm-1 (9 readings) deleted",
    ),
    "devices": (
        "UPDATE sweeper.segment SET device_name = 'processor B' WHERE id = 1",
        "a bracket judged on several devices: baseline bracket 0",
    ),
    "room": (
        "UPDATE sweeper.trial SET params = params || '{\"multiplier\": 9.9}' "
        "WHERE study_id = 2 AND number = 1; "
        "UPDATE sweeper.trial SET params = params || '{\"multiplier\": 9.9}' "
        "WHERE study_id IN (5, 8) AND origin = 'tuned'",
        "best value at the edge of its range: kd multiplier (high)",
    ),
    "values": (
        "UPDATE sweeper.trial SET score = score + 10 WHERE study_id = 5; "
        "UPDATE sweeper.rung SET score = score + 10, class_iou = "
        "jsonb_build_array(score + 10, score + 10, score + 10) WHERE study_id = 5",
        "mIoU is not what its confusion matrices give",
    ),
    "segments": (
        "UPDATE sweeper.segment_member SET weights_hash = 'other' "
        "WHERE study_id = 2 AND number = 12",
        "demo/kd#12: its weights at step 26 are not those of the segment",
    ),
    "proposals": (
        "UPDATE sweeper.trial SET params = params || '{\"weight_decay\": 0.001}' "
        "WHERE study_id = 2 AND number = 10",
        "demo/kd#10 is not what the sampler proposes",
    ),
    "terms": (
        'UPDATE sweeper.launch SET provenance = provenance || \'{"protocol_hash": "other"}\' '
        "WHERE sweep_id = 2",
        "demo:confirm-1: a launch of it went by other terms",
    ),
    "log": (
        "UPDATE sweeper.segment_member SET losses = '[[5, 1.0]]' "
        "WHERE study_id = 2 AND number = 12 AND segment_id = 7",
        "segment 7/2/12 was changed after it was recorded",
    ),
    "other readings": (
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
    ),
    "code": (
        "UPDATE sweeper.segment SET code_hash = 'another' WHERE id = 1",
        "1 segment of demo trained by code another, which no launch of it had",
    ),
}
ALONGSIDE = {  # rules that see the same breach from another side
    "baseline": ("segments", "proposals"),
    "dimensions": ("proposals",),
    "ranges": ("proposals",),
    "start": ("proposals",),
    "last step": ("values",),
    "judging": ("values",),
    "one reading": ("values",),
    "stages": ("incumbents",),
    "room": ("proposals",),
}
# What is no row with a digest: a bracket's allowance, an event, other sweeps' readings, a
# confusion matrix of a search, a launch's terms beside the protocol's own.
UNNOTED = ("budget", "deletions", "other readings", "splits")
ALSO = [  # further ways to break a rule; some break others too
    ("baseline", "DELETE FROM sweeper.study WHERE id = 1", "baseline: 0 searches instead of 1"),
    (
        "protocol",
        "UPDATE sweeper.study SET code_hash = 'edited' WHERE id = 8",
        "kd: more than one code",
    ),
    (
        "protocol",
        'UPDATE sweeper.sweep SET protocol = protocol || \'{"metric": "best"}\' WHERE id = 2',
        "demo:confirm-1 has another metric",
    ),
    (
        "budget",
        "UPDATE sweeper.trial SET state = 'RUNNING' WHERE study_id = 3 AND number = 15",
        "rdd: 15 of 16 trials are decided",
    ),
    (
        "budget",
        "UPDATE sweeper.trial SET trained_steps = 500 WHERE study_id = 3 AND number = 12",
        "rdd: trained ",
    ),
    (
        "dimensions",
        respaced(changed_space(2, name="second")),
        "kd: 2 hyperparameters of its own (second, temperature)",
    ),
    (
        "ranges",
        "UPDATE sweeper.trial SET params = params || '{\"multiplier\": 50}' "
        "WHERE study_id = 2 AND number = 12",
        "demo/kd#12 lies outside its ranges",
    ),
    (
        "ranges",
        "UPDATE sweeper.study SET calibration = NULL WHERE id = 2",
        "kd: searched without a calibration",
    ),
    (
        "ranges",
        respaced(changed_space(2, low=0.1)),
        "kd: its range of m is not 0.01 to 10 x equal effect",
    ),
    (
        "start",
        "UPDATE sweeper.trial SET params = params || '{\"temperature\": 2.5}' "
        "WHERE study_id = 2 AND number = 0",
        "demo/kd#0 starts elsewhere",
    ),
    (
        "splits",
        "UPDATE sweeper.segment SET sweep_id = 2 WHERE id = 1",
        "demo/baseline#0 was evaluated on the reported split",
    ),
    (
        "last step",
        "UPDATE sweeper.rung SET class_iou = '[50, 20, 30.5]' WHERE study_id = 1 AND number = 1",
        "2 evaluations counted other classes",
    ),
    (
        "last step",
        "UPDATE sweeper.trial SET score = 30 WHERE study_id = 1 AND number = 5",
        "demo/baseline#5 diverged and has a value",
    ),
    (
        "published and tuned",
        "DELETE FROM sweeper.trial WHERE study_id = 5 AND origin = 'published'",
        "stage 1 kd: no published run",
    ),
    (
        "teacher",
        "UPDATE sweeper.artifact SET hash = 'other'",
        "the teacher is not of the protocol's recipe",
    ),
    (
        "fresh seeds",
        "UPDATE sweeper.segment SET seed = 5 WHERE sweep_id = 3",
        "stage 2 baseline published seed",
    ),
    (
        "declared numbers",
        "INSERT INTO sweeper.trial SELECT (jsonb_populate_record(t, '{\"number\": 77}')).* "
        "FROM sweeper.trial t WHERE study_id = 6 AND number = 1",
        "stage 1 rdd tuned: 3 runs instead of 2",
    ),
    (
        "one reading",
        "UPDATE sweeper.trial SET state = 'PRUNED', score = NULL WHERE study_id = 6 AND number = 0",
        "was read, but has no value",
    ),
    (
        "one reading",
        "UPDATE sweeper.segment_member SET ending = 'lost' WHERE study_id = 6 AND number = 0",
        "was not read exactly once",
    ),
    (
        "incumbents",
        "UPDATE sweeper.trial SET finished_at = clock_timestamp() WHERE study_id = 2",
        "demo/kd#0 ended after the choice",
    ),
    (
        "stages",
        "UPDATE sweeper.sweep SET protocol = jsonb_set(protocol, '{confirmation,delta}', '0.1') "
        "WHERE id = 3",
        "stage 2 changed delta",
    ),
    ("stages", "UPDATE sweeper.sweep SET stage = 3 WHERE id = 3", "stages 1, 3 instead of 1 to 2"),
    (
        "code",
        "UPDATE sweeper.segment SET code_hash = NULL WHERE id IN (1, 2)",
        "2 segments of demo without a record of the code",
    ),
    (
        "code",
        "UPDATE sweeper.launch SET provenance = provenance - 'code_hash' WHERE sweep_id = 3",
        "of demo:confirm-2 trained by code c0dec0dec0de, which no launch of it had",
    ),
]
