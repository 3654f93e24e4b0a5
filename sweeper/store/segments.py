"""Segments in the log: issued, reported on, recorded, lost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from sweeper.store.log import TrialKey, change_trial
from sweeper.store.log_files import folder_name
from sweeper.store.schema import (
    PREDICTION,
    confusion,
    picture,
    rung,
    segment,
    segment_member,
    study,
    trial,
)
from trainers.training.segment import MemberOutcome, Outcome


def add_segment(
    connection: Connection, *, trials: Sequence[TrialKey], root: Path, **values: Any
) -> tuple[int, Path]:
    """Store an issued segment and its members; return its id and its folder under `root`."""
    identifier = connection.scalar(
        insert(segment)
        .values(state="in flight", folder="", progress_step=values["start_step"], **values)
        .returning(segment.c.id)
    )
    folder = root / folder_name(int(identifier or 0))
    connection.execute(update(segment).where(segment.c.id == identifier).values(folder=str(folder)))
    rows = [
        {"segment_id": identifier, "study_id": key[0], "number": key[1], "ordinal": ordinal}
        for ordinal, key in enumerate(trials)
    ]
    connection.execute(insert(segment_member), rows)
    return int(identifier or 0), folder


def members(connection: Connection, segment_id: int) -> list[Row[Any]]:
    """Return the trials of a segment, each with its row in `trial`, in the cohort's order."""
    query = (
        select(trial, study.c.state.label("study_state"))
        .join(study, study.c.id == trial.c.study_id)
        .join(
            segment_member,
            (segment_member.c.study_id == trial.c.study_id)
            & (segment_member.c.number == trial.c.number),
        )
        .where(segment_member.c.segment_id == segment_id)
        .order_by(segment_member.c.ordinal)
    )
    return list(connection.execute(query))


def record_heartbeat(connection: Connection, segment_id: int, step: int) -> None:
    """Note how far a segment's worker is."""
    connection.execute(
        update(segment)
        .where(segment.c.id == segment_id, segment.c.state == "in flight")
        .values(progress_step=func.greatest(segment.c.progress_step, step), heartbeat_at=func.now())
    )


def close_segment(connection: Connection, segment_id: int, outcome: Outcome) -> bool:
    """Mark a segment as recorded; False when it was not in flight (recorded or lost before)."""
    state = "interrupted" if outcome.interrupted else "done"
    closed = connection.execute(
        update(segment)
        .where(segment.c.id == segment_id, segment.c.state == "in flight")
        .values(
            state=state,
            ended_at=func.now(),
            wall_seconds=outcome.wall_seconds,
            device_name=outcome.device_name,
            notes=list(outcome.notes),
            code_hash=outcome.code_hash,
        )
    )
    return closed.rowcount == 1


def close_member(
    connection: Connection, segment_id: int, key: TrialKey, outcome: MemberOutcome
) -> None:
    """Store what became of a member."""
    connection.execute(
        update(segment_member)
        .where(
            segment_member.c.segment_id == segment_id,
            segment_member.c.study_id == key[0],
            segment_member.c.number == key[1],
        )
        .values(
            ending=outcome.ending.value,
            reached_step=outcome.step,
            seconds=outcome.seconds,
            weights_hash=outcome.weights_hash,
            losses=[list(point) for point in outcome.losses],
            reason=outcome.reason,
        )
    )


def add_rung(
    connection: Connection, segment_id: int, key: TrialKey, index: int, outcome: MemberOutcome
) -> None:
    """Store a member's evaluation at a rung; one that is there already stays."""
    connection.execute(
        upsert(rung)
        .values(
            study_id=key[0],
            number=key[1],
            index=index,
            step=outcome.step,
            score=outcome.score,
            class_iou=list(outcome.class_iou),
            weights_hash=outcome.weights_hash,
            segment_id=segment_id,
        )
        .on_conflict_do_nothing()
    )


def add_results(connection: Connection, key: TrialKey, outcome: MemberOutcome) -> None:
    """Store what else a finished trial has brought: a picture, confusions; what is there stays."""
    if outcome.picture is not None:
        _add_prediction(connection, key, outcome.picture)
    if outcome.confusions is not None:
        values = {"study_id": key[0], "number": key[1], "content": outcome.confusions}
        connection.execute(upsert(confusion).values(values).on_conflict_do_nothing())


def _add_prediction(connection: Connection, key: TrialKey, content: bytes) -> None:
    """Store the picture of a trial's predictions; one that is there already stays.

    The dashboard takes names of hexadecimal digits and dashes alone.
    """
    connection.execute(
        upsert(picture)
        .values(
            id=f"f-{key[0]:x}-{key[1]:x}",
            study_id=key[0],
            number=key[1],
            kind=PREDICTION,
            media_type="image/png",
            content=content,
        )
        .on_conflict_do_nothing()
    )


def heartbeat_step(connection: Connection, segment_id: int) -> int:
    """Return the step that a segment's worker last reported."""
    query = select(segment.c.progress_step).where(segment.c.id == segment_id)
    return int(connection.execute(query).scalar_one())


def flights(connection: Connection, sweep_id: int) -> dict[int, bool]:
    """Return id -> whether any of its members is still undecided, of every segment in flight."""
    query = (
        select(segment.c.id, func.bool_or(trial.c.state == "RUNNING").label("is_wanted"))
        .join(segment_member, segment_member.c.segment_id == segment.c.id)
        .join(
            trial,
            (trial.c.study_id == segment_member.c.study_id)
            & (trial.c.number == segment_member.c.number),
        )
        .where(segment.c.sweep_id == sweep_id, segment.c.state == "in flight")
        .group_by(segment.c.id)
    )
    return {row.id: row.is_wanted for row in connection.execute(query)}


def lose_segments(
    connection: Connection, sweep_id: int, running: Collection[int] = ()
) -> list[int]:
    """Give up all that is in flight but `running`; charge it as wasted; return the lost ids."""
    query = select(segment).where(
        segment.c.sweep_id == sweep_id,
        segment.c.state == "in flight",
        segment.c.id.not_in(running),
    )
    lost = list(connection.execute(query))
    for row in lost:
        _charge_loss(connection, row)
    return [row.id for row in lost]


def _charge_loss(connection: Connection, row: Row[Any]) -> None:
    """Nothing of a lost segment is kept: what its worker reported was wasted."""
    trials = members(connection, row.id)
    last = row.heartbeat_at or row.started_at
    seconds = (last - row.started_at).total_seconds() / len(trials)
    for member in trials:
        change_trial(
            connection,
            (member.study_id, member.number),
            wasted_steps=trial.c.wasted_steps + row.progress_step - row.start_step,
            wasted_seconds=trial.c.wasted_seconds + seconds,
        )
    connection.execute(
        update(segment).where(segment.c.id == row.id).values(state="lost", ended_at=func.now())
    )
    connection.execute(
        update(segment_member).where(segment_member.c.segment_id == row.id).values(ending="lost")
    )
