"""Segments in the log: issued, reported on, recorded once, given up."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from sweeper.store import log, segments
from trainers.training.segment import Ending, MemberOutcome, Outcome

KD = 2  # a study
TRIALS = [(KD, 15), (KD, 3)]
ROW = "SELECT state, progress_step, device_name FROM sweeper.segment WHERE id = :id"
WASTED = "SELECT wasted_steps FROM sweeper.trial WHERE study_id = 2 AND number = 15"


def issue(connection: Connection, root: Path = Path("/root")) -> tuple[int, Path]:
    for key in TRIALS:
        log.change_trial(connection, key, state="RUNNING")
    steps = {"start_step": 26, "stop_step": 80}
    return segments.add_segment(
        connection, trials=TRIALS, root=root, sweep_id=1, epoch=1, seed=5, **steps
    )


def row(connection: Connection, segment_id: int) -> tuple[object, ...]:
    return tuple(connection.execute(text(ROW), {"id": segment_id}).one())


def reached(number: int) -> MemberOutcome:
    return MemberOutcome(
        key=f"demo/kd#{number}",
        ending=Ending.REACHED,
        step=80,
        seconds=1.0,
        weights_hash="w",
        score=41.0,
        class_iou=(50.0, None, 32.0),
        losses=((30, 1.5),),
        picture=b"png",
        confusions=b"matrices",
    )


def test_a_segment_has_a_folder_of_its_own_and_its_members_in_order(
    connection: Connection,
) -> None:
    (first, one), (second, other) = issue(connection), issue(connection)
    assert first != second
    assert one.parent == other.parent == Path("/root")
    assert one != other
    assert row(connection, first) == ("in flight", 26, None)
    found = segments.members(connection, first)
    assert [(member.study_id, member.number) for member in found] == TRIALS
    assert {member.study_state for member in found} == {"active"}
    assert log.in_flight(connection, 1) == set(TRIALS)


def test_a_heartbeat_only_raises_the_step_and_only_in_flight(connection: Connection) -> None:
    segment_id, _ = issue(connection)
    for step in (40, 33):
        segments.record_heartbeat(connection, segment_id, step)
        assert segments.heartbeat_step(connection, segment_id) == 40
    segments.lose_segments(connection, 1)
    segments.record_heartbeat(connection, segment_id, 70)
    assert segments.heartbeat_step(connection, segment_id) == 40


def test_an_outcome_closes_its_segment_once(connection: Connection) -> None:
    segment_id, _ = issue(connection)
    outcome = Outcome(members=(), wall_seconds=2.0, device_name="B", interrupted=True)
    assert segments.close_segment(connection, segment_id, outcome)
    assert row(connection, segment_id) == ("interrupted", 26, "B")
    assert not segments.close_segment(connection, segment_id, outcome)


def test_what_a_member_brought_is_stored_and_stays(connection: Connection) -> None:
    segment_id, _ = issue(connection)
    segments.close_member(connection, segment_id, (KD, 15), reached(15))
    before = log.history(connection, KD)[15].rungs
    assert before.keys() == {26}  # it was pruned there
    for outcome in (reached(15), MemberOutcome(**{**vars(reached(15)), "score": 99.0})):
        segments.add_rung(connection, segment_id, (KD, 15), 1, outcome)
        segments.add_results(connection, (KD, 15), outcome)
    assert log.history(connection, KD)[15].rungs == before | {80: 41.0}
    for table, content in (("picture", b"png"), ("confusion", b"matrices")):
        stored = connection.scalar(
            text(f"SELECT content FROM sweeper.{table} WHERE study_id = 2 AND number = 15")
        )
        assert bytes(stored) == content


def test_a_segment_is_wanted_while_a_member_is_undecided(connection: Connection) -> None:
    segment_id, _ = issue(connection)
    assert segments.flights(connection, 1) == {segment_id: True}
    log.change_trial(connection, TRIALS[0], state="FAIL")
    assert segments.flights(connection, 1) == {segment_id: True}
    log.change_trial(connection, TRIALS[1], state="FAIL")
    assert segments.flights(connection, 1) == {segment_id: False}


def test_what_is_given_up_is_wasted_and_what_runs_is_left(connection: Connection) -> None:
    (lost, _), (running, _) = issue(connection), issue(connection)
    before = connection.scalar(text(WASTED))
    segments.record_heartbeat(connection, lost, 36)
    assert segments.lose_segments(connection, 1, [running]) == [lost]
    assert connection.scalar(text(WASTED)) == before + 10
    assert row(connection, lost)[0] == "lost"
    assert row(connection, running)[0] == "in flight"
    assert log.count_endings(connection, TRIALS[0], 1, Ending.LOST) == 1
