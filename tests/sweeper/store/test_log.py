"""The log of trials and studies, statement by statement, on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from sweeper.store import log
from tests.sweeper.synthetic import FAILURE, PRUNED, params_of, score_of
from trainers.training.segment import Ending

BASELINE, KD = 1, 2  # studies
STATE = text("SELECT state, reason FROM sweeper.study WHERE id = 2")


def test_studies_count_what_is_planned_undecided_and_begun(connection: Connection) -> None:
    log.change_trial(connection, (KD, 15), state="RUNNING")
    baseline, kd, _ = log.studies(connection, 1)
    assert [study.method for study in (baseline, kd)] == ["baseline", "kd"]
    assert (baseline.planned, baseline.undecided) == (16, 0)
    assert (kd.planned, kd.undecided) == (16, 1)
    assert kd.begun_steps == 35 + 11 + 4 * 26 + 10 * 80
    assert not kd.awaits_calibration


def test_undecided_trials_come_by_study_and_number(connection: Connection) -> None:
    for key in ((KD, 3), (BASELINE, 7), (KD, 1)):
        log.change_trial(connection, key, state="RUNNING")
    found = log.open_trials(connection, [KD, BASELINE])
    assert [trial.key for trial in found] == [(BASELINE, 7), (KD, 1), (KD, 3)]
    assert found[2].checkpoint == Path("/checkpoints/demo/segment/kd-3.pt")


def test_the_sampler_sees_every_trial_with_the_rungs_it_reached(connection: Connection) -> None:
    past = log.history(connection, KD)
    assert [dict(trial.params) for trial in past] == [params_of("kd", n) for n in range(16)]
    assert past[3].rungs == {26: score_of("kd", 3, 26), 80: score_of("kd", 3, 80)}
    assert (past[8].state, list(past[8].rungs)) == ("PRUNED", [26])
    assert past[5].diverged
    assert past[5].score is None


def test_only_undecided_trials_are_judged(connection: Connection) -> None:
    assert log.rung_values(connection, KD, range(8, 16), 0) == {}
    for number in (10, 12):
        log.change_trial(connection, (KD, number), state="RUNNING")
    found = log.rung_values(connection, KD, range(8, 16), 0)
    assert found == {number: score_of("kd", number, 26) for number in (10, 12)}


def test_a_decision_raises_the_revision_that_the_projection_follows(
    connection: Connection,
) -> None:
    row = text("SELECT revision, state FROM sweeper.trial WHERE study_id = 2 AND number = 15")
    before = connection.execute(row).one()
    log.change_trial(connection, (KD, 15), checkpoint="/x")
    assert connection.execute(row).one() == before
    log.decide_trial(connection, (KD, 15), "FAIL", reason="on order")
    assert connection.execute(row).one() == (before.revision + 1, "FAIL")
    assert log.failures(connection, KD, range(8, 16)) == [FAILURE.splitlines()[0], "on order"]


def test_a_study_is_blocked_or_fails_once_and_fails_for_good(connection: Connection) -> None:
    assert log.block_study(connection, KD, "x")
    assert not log.block_study(connection, KD, "y")
    assert log.fail_study(connection, KD, "too many failures")
    assert not log.fail_study(connection, KD, "again")
    assert not log.block_study(connection, KD, "z")
    assert connection.execute(STATE).one() == ("failed", "too many failures")


def test_a_calibration_is_stored_once(connection: Connection) -> None:
    connection.execute(text("UPDATE sweeper.study SET calibration = NULL WHERE id = 2"))
    assert log.studies(connection, 1)[1].awaits_calibration
    assert log.calibrate(connection, KD, {"equal": 2.0})
    assert not log.calibrate(connection, KD, {"equal": 3.0})
    assert log.studies(connection, 1)[1].calibration == {"equal": 2.0}


def test_a_trial_without_its_checkpoint_begins_again_and_keeps_its_rungs(
    connection: Connection,
) -> None:
    before = log.history(connection, KD)[3].rungs
    log.forget_checkpoint(connection, [(KD, 3)])
    spent = "SELECT step, checkpoint, trained_steps, wasted_steps, device_seconds, wasted_seconds"
    row = connection.execute(text(f"{spent} FROM sweeper.trial WHERE study_id = 2 AND number = 3"))
    assert row.one() == (0, None, 0, 3 + 80, 0.0, 8.0)
    assert log.history(connection, KD)[3].rungs == before


def test_endings_are_counted_by_driver(connection: Connection) -> None:
    assert log.count_endings(connection, (KD, 9), 1, Ending.FAILED) == 1
    assert log.count_endings(connection, (KD, 9), 2, Ending.FAILED) == 0
    assert log.count_endings(connection, (KD, 3), 1, Ending.REACHED) == 2
    assert log.count_complete(connection, [KD]) == 10


def test_checkpoints_are_those_of_trials_that_did_not_fail(connection: Connection) -> None:
    kept = log.checkpoints(connection, 1)
    assert len(kept) == 3 * 10
    assert ("segment", "kd-3.pt") in kept
    log.change_trial(connection, (KD, 3), state="FAIL")
    assert kept - log.checkpoints(connection, 1) == {("segment", "kd-3.pt")}
    assert not any(f"kd-{number}.pt" in name for number in PRUNED for _, name in kept)
