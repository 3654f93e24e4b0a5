"""What voids nothing in the sound store, by plain SQL, and what is said of it with every result."""

from __future__ import annotations

SAID = [  # what voids nothing, but is said with every result
    (
        "stages",
        "UPDATE sweeper.sweep SET protocol = jsonb_set(protocol, '{confirmation,stages}', '1') "
        "WHERE confirms = 1",
        "the second stage was declared after the first was seen",
    ),
    (
        "teacher",
        "UPDATE sweeper.artifact SET origin = '/elsewhere/teacher.pt'",
        "teacher from a file",
    ),
    (
        "records",
        "UPDATE sweeper.launch SET provenance = '{}' WHERE sweep_id = 1",
        "demo was launched without a record of python, packages, processor",
    ),
    (
        "records",
        "UPDATE sweeper.launch SET provenance = jsonb_set(provenance, '{packages,torch}', "
        "'\"2.11\"') WHERE sweep_id = 2",
        "several versions of torch",
    ),
    ("records", "DELETE FROM sweeper.launch WHERE sweep_id = 2", "no launch of demo:confirm-1 is"),
    (
        "devices",
        "UPDATE sweeper.segment SET device_name = 'B' FROM sweeper.segment_member m "
        "WHERE m.segment_id = id AND m.study_id = 4",
        "stage 1 confirmed on several devices",
    ),
    (
        "declared numbers",
        "UPDATE sweeper.trial SET state = 'FAIL', score = NULL WHERE study_id = 6 AND number = 0; "
        "DELETE FROM sweeper.confusion WHERE study_id = 6 AND number = 0",
        "1 confirmation failed",
    ),
    (
        "proposals",
        'UPDATE sweeper.launch SET provenance = provenance || \'{"processor": "another"}\'; '
        "UPDATE sweeper.trial SET params = params || '{\"weight_decay\": 0.001}' "
        "WHERE study_id = 2 AND number = 10",
        "1 proposal cannot be replayed here: it was planned on another, this is ",
    ),
    (
        "room",
        "UPDATE sweeper.trial SET score = score - 5 WHERE study_id = 3 AND number < 8; "
        "UPDATE sweeper.rung SET score = score - 5 WHERE study_id = 3 AND number < 8",
        "still improving: rdd",
    ),
    (
        "code",
        "UPDATE sweeper.segment SET code_hash = 'another' WHERE id = 1; "
        "INSERT INTO sweeper.launch (sweep_id, who, command, provenance) SELECT sweep_id, who, "
        'command, provenance || \'{"code_hash": "another"}\' FROM sweeper.launch '
        "WHERE sweep_id = 1",
        "trained by 2 versions of the code",
    ),
]
