"""Protocols, teachers, launches, devices and code that are not what was frozen."""

from __future__ import annotations

from sweeper.audit import record_rules
from tests.sweeper.audit.breaches import Breach, FurtherBreachTests

BROKEN = [
    Breach(
        "protocol",
        "UPDATE sweeper.sweep SET protocol = jsonb_set(protocol, '{numerics,version}', '99') "
        "WHERE id = 1",
        "the protocol of demo was changed",
    ),
    Breach(
        "teacher",
        "UPDATE sweeper.sweep SET teacher_hash = 'other' WHERE name = 'demo:confirm-2'",
        "demo:confirm-2 was trained under another teacher",
    ),
    Breach(
        "teacher's lead",
        "UPDATE sweeper.artifact SET metrics = '{\"score\": 43.4}'",
        "weak teacher",
    ),
    Breach(
        "records",
        "UPDATE sweeper.launch SET provenance = jsonb_set(provenance, '{git,dirty}', 'true') "
        "WHERE sweep_id = 1",
        "searched with a dirty checkout",
    ),
    Breach(
        "deletions",
        "INSERT INTO sweeper.event (sweep_id, kind, detail) VALUES (1, 'confirmation deleted', "
        '\'{"name": "demo:confirm-1", "readings": 9}\')',
        "demo:confirm-1 (9 readings) deleted",
        is_digested=False,
    ),
    Breach(
        "devices",
        "UPDATE sweeper.segment SET device_name = 'processor B' WHERE id = 1",
        "a bracket judged on several devices: baseline bracket 0",
    ),
    Breach(
        "code",
        "UPDATE sweeper.segment SET code_hash = 'another' WHERE id = 1",
        "1 segment of demo trained by code another, which no launch of it had",
    ),
]
FURTHER = [  # ways to break a rule as well; some break others too
    Breach(
        "protocol",
        "UPDATE sweeper.study SET code_hash = 'edited' WHERE id = 8",
        "kd: more than one code",
    ),
    Breach(
        "protocol",
        'UPDATE sweeper.sweep SET protocol = protocol || \'{"metric": "best"}\' WHERE id = 2',
        "demo:confirm-1 has another metric",
    ),
    Breach(
        "teacher",
        "UPDATE sweeper.artifact SET hash = 'other'",
        "the teacher is not of the protocol's recipe",
    ),
    Breach(
        "code",
        "UPDATE sweeper.segment SET code_hash = NULL WHERE id IN (1, 2)",
        "2 segments of demo without a record of the code",
    ),
    Breach(
        "code",
        "UPDATE sweeper.launch SET provenance = provenance - 'code_hash' WHERE sweep_id = 3",
        "of demo:confirm-2 trained by code c0dec0dec0de, which no launch of it had",
    ),
    Breach(
        "teacher",
        "UPDATE sweeper.artifact SET origin = '/elsewhere/teacher.pt'",
        "teacher from a file",
        is_stamp=True,
    ),
    Breach(
        "records",
        "UPDATE sweeper.launch SET provenance = '{}' WHERE sweep_id = 1",
        "demo was launched without a record of python, packages, processor",
        is_stamp=True,
    ),
    Breach(
        "records",
        "UPDATE sweeper.launch SET provenance = jsonb_set(provenance, '{packages,torch}', "
        "'\"2.11\"') WHERE sweep_id = 2",
        "several versions of torch",
        is_stamp=True,
    ),
    Breach(
        "records",
        "DELETE FROM sweeper.launch WHERE sweep_id = 2",
        "no launch of demo:confirm-1 is",
        is_stamp=True,
    ),
    Breach(
        "devices",
        "UPDATE sweeper.segment SET device_name = 'B' FROM sweeper.segment_member m "
        "WHERE m.segment_id = id AND m.study_id = 4",
        "stage 1 confirmed on several devices",
        is_stamp=True,
    ),
    Breach(
        "code",
        "UPDATE sweeper.segment SET code_hash = 'another' WHERE id = 1; "
        "INSERT INTO sweeper.launch (sweep_id, who, command, provenance) SELECT sweep_id, who, "
        'command, provenance || \'{"code_hash": "another"}\' FROM sweeper.launch '
        "WHERE sweep_id = 1",
        "trained by 2 versions of the code",
        is_stamp=True,
    ),
]


class TestRecordRules(FurtherBreachTests):
    """Each rule of the module, broken in the sound store."""

    module = record_rules
    broken = BROKEN
    further = FURTHER
