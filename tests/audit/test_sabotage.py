"""Each rule is broken once, by plain SQL in a sound store, and the audit says which it was."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from sweeper.audit import Audit, require_sound, run_audit
from sweeper.audit.finding import State
from sweeper.audit.rules import RULES
from sweeper.comparison.evidence import read_evidence
from sweeper.errors import SweeperError
from sweeper.search.seeds import training_seed
from tests.sweeper.synthetic import SEED

KD, KD_CONFIRMED, KD_AGAIN = 2, 5, 8  # studies of kd: its search, its copies in the stages
TUNED = "trial SET {} WHERE study_id = 5 AND number = 1"  # a confirmation of kd's best trial
BROKEN = {  # rule -> the statement that breaks it, what the audit says of it
    "baseline": (
        "UPDATE sweeper.study SET repeat = 2 WHERE id = 3; "
        "UPDATE sweeper.study SET method = 'kd' WHERE id = 3",
        "baseline: 1 search instead of 6",
    ),
    "protocol": (
        "UPDATE sweeper.sweep SET protocol = jsonb_set(protocol, '{numerics,version}', '99') "
        "WHERE id = 1",
        "the protocol of demo was changed",
    ),
    "budget": (
        "UPDATE sweeper.bracket SET planned_steps = 999 WHERE study_id = 2 AND index = 1",
        "kd: bracket 1 was allowed 999 steps, not 280",
    ),
    "dimensions": (
        "UPDATE sweeper.study SET space = jsonb_set(space, '{dimensions,0,high}', '0.5') "
        "WHERE id = 2",
        "kd: another range of learning_rate",
    ),
    "ranges": (
        "UPDATE sweeper.study SET calibration = calibration || '{\"equal\": 3}' WHERE id = 2",
        "kd: m1 = 3, but its shares say 1",
    ),
    "start": (
        "UPDATE sweeper.trial SET params = params || '{\"learning_rate\": 0.01}' "
        "WHERE study_id = 2 AND number = 6",
        "demo/kd#6 starts elsewhere",
    ),
    "splits": (
        "INSERT INTO sweeper.confusion (study_id, number, content) VALUES (2, 12, 'x')",
        "demo/kd#12 was evaluated on the reported split",
    ),
    "last step": (
        "UPDATE sweeper.trial SET value = value + 0.25 WHERE study_id = 2 AND number = 12",
        "demo/kd#12 has a value of another step",
    ),
    "judging": (
        "UPDATE sweeper.rung SET value = 1 WHERE study_id = 2 AND number = 12 AND index = 0",
        "kd bracket 1: step 20 judged #8, #12 wrongly",
    ),
    "rungs": (
        "UPDATE sweeper.rung SET value = 60 - value WHERE index = 0 AND number < 8",
        "the rung at step 20 misleads",
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
        "UPDATE sweeper.artifact SET metrics = '{\"miou\": 43.4}'",
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
        "UPDATE sweeper.trial SET value = 99 WHERE study_id = 2 AND number = 12; "
        "UPDATE sweeper.rung SET value = 99 WHERE study_id = 2 AND number = 12 AND index = 1",
        "kd: #3 was confirmed, #12 is best",
    ),
    "stages": (
        "UPDATE sweeper.sweep SET created_at = created_at - interval '1 day' "
        "WHERE name = 'demo:confirm-2'",
        "stage 2 was declared before the end of the first",
    ),
    "deletions": (
        "INSERT INTO sweeper.event (sweep_id, kind, detail) VALUES (1, 'confirmation deleted', "
        '\'{"name": "demo:confirm-1", "trials": 9}\')',
        "demo:confirm-1 (9 runs) deleted",
    ),
    "devices": (
        "UPDATE sweeper.segment SET device_name = 'processor B' WHERE id = 1",
        "a bracket judged on several devices: baseline bracket 0",
    ),
    "room": (
        "UPDATE sweeper.trial SET params = params || '{\"multiplier\": 9.9}' "
        "WHERE study_id = 2 AND number = 3; "
        "UPDATE sweeper.trial SET params = params || '{\"multiplier\": 9.9}' "
        "WHERE study_id IN (5, 8) AND origin = 'tuned'",
        "best value at the edge of its range: kd multiplier (high)",
    ),
}
ALSO = {  # further ways to break a rule
    "a method searched twice": (
        "baseline",
        "INSERT INTO sweeper.study SELECT (jsonb_populate_record(y, '{\"id\": 99, \"repeat\": 2}'"
        ")).* FROM sweeper.study y WHERE id = 2",
        "rdd: 1 search instead of 2",
    ),
}


def spoil(engine: Engine, statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements.split("; "):
            assert connection.execute(text(statement.replace(":", "\\:"))).rowcount


def audit(engine: Engine) -> Audit:
    return run_audit(read_evidence(engine, "demo"))


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
    spoil(sound, statements)
    found = audit(sound)
    state = State.BROKEN if rule.voids else State.WARNING
    assert states(found) == {rule.name: state}, [f.evidence for f in found.findings]
    [finding] = [f for f in found.findings if f.rule.name == rule.name]
    assert said in finding.evidence
    assert any(said in stamp for stamp in found.stamps)
    assert found.is_void == rule.voids
