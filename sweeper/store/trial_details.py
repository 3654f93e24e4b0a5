"""Everything that the log knows of one trial, as plain data: what `sweeper show` says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, text

from sweeper.core.names import Reference
from sweeper.search.seeds import training_seed
from sweeper.store.log_files import segment_file_beside
from sweeper.store.lookup import find_study, find_sweep, find_trial

RUNGS = text("""
SELECT index, step, score, weights_hash, class_iou FROM sweeper.rung
WHERE study_id = :study_id AND number = :number ORDER BY index
""")
SEGMENTS = text("""
SELECT s.id, s.start_step, m.reached_step, s.stop_step, coalesce(m.ending, s.state) AS ending,
       m.seconds, s.device_name, s.started_at, m.losses, s.folder
FROM sweeper.segment_member m JOIN sweeper.segment s ON s.id = m.segment_id
WHERE m.study_id = :study_id AND m.number = :number ORDER BY s.id
""")
EVENTS = text("""
SELECT at, kind, detail FROM sweeper.event
WHERE study_id = :study_id AND (number = :number
      OR number IS NULL AND (detail ->> 'bracket')::int = :bracket)
ORDER BY id
""")

INPUTS = text("""
SELECT provenance ->> 'task_file' AS task_file, provenance ->> 'data_root' AS data_root
FROM sweeper.launch WHERE sweep_id = :sweep_id ORDER BY id DESC LIMIT 1
""")
TEACHER = text("""
SELECT a.path FROM sweeper.artifact a JOIN sweeper.sweep s ON s.teacher_hash = a.weights_hash
WHERE s.id = :sweep_id ORDER BY a.created_at LIMIT 1
""")


@dataclass(frozen=True, kw_only=True)
class Rung:
    """An evaluation."""

    index: int
    step: int
    score: float  # percent, selection split
    weights_hash: str
    class_iou: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The trial's part in one segment."""

    segment: int
    start_step: int
    reached_step: int | None
    stop_step: int
    ending: str
    seconds: float | None
    device: str | None
    log: Path  # where whoever trained it wrote, on that machine


@dataclass(frozen=True, kw_only=True)
class TrialDetails:
    """One trial with all that was recorded of it."""

    reference: Reference
    task: str  # its name, or its file where it does not come with the package
    data_root: str | None
    seed: int  # of its training
    deterministic: bool
    teacher: str | None  # file of its weights, where the sweep has needed one
    last_step: int  # of its schedule
    is_longer: bool  # than the task's own: it was trained at equal cost
    params: Mapping[str, float]
    published: Mapping[str, float]
    origin: str
    bracket: int
    state: str
    diverged: bool
    reason: str | None
    score: float | None
    step: int
    trained_steps: int
    wasted_steps: int
    device_seconds: float
    wasted_seconds: float
    checkpoint: str | None
    rungs: tuple[Rung, ...]
    stretches: tuple[Stretch, ...]
    losses: tuple[tuple[int, float], ...]  # step, training loss, of what was kept
    events: tuple[tuple[str, str, Mapping[str, Any]], ...]  # time, kind, detail

    @property
    def weights_hash(self) -> str | None:
        """The sha256 of the student's weights at its last evaluation."""
        return self.rungs[-1].weights_hash if self.rungs else None


def read_trial_details(connection: Connection, reference: Reference) -> TrialDetails:
    """Return all about one trial; SweeperError where it, its method or its sweep is not there."""
    if reference.method is None or reference.number is None:
        raise ValueError(f"{reference} names no trial")
    sweep_row = find_sweep(connection, reference.sweep)
    study_row = find_study(connection, sweep_row, reference.method, reference.repeat)
    row = find_trial(connection, study_row, reference.number)
    key = {"study_id": study_row.id, "number": reference.number}
    parts = list(connection.execute(SEGMENTS, key))
    return TrialDetails(
        reference=reference,
        **_protocol_of(sweep_row, row.seed, reference.repeat),
        **_inputs(connection, sweep_row),
        teacher=connection.scalars(TEACHER, {"sweep_id": sweep_row.id}).first(),
        published={d["name"]: d["published"] for d in study_row.space["dimensions"]},
        score=row.score,
        **_columns(row),
        rungs=tuple(_rung(row._asdict()) for row in connection.execute(RUNGS, key)),
        stretches=tuple(_stretch(part) for part in parts),
        losses=kept_losses(parts),
        events=tuple(
            (event.at.isoformat(timespec="seconds"), event.kind, event.detail)
            for event in connection.execute(EVENTS, key | {"bracket": row.bracket})
        ),
    )


def _protocol_of(sweep_row: Row[Any], own_seed: int | None, repeat: int) -> dict[str, Any]:
    protocol = sweep_row.protocol
    return {
        "seed": training_seed(sweep_row.seed, repeat) if own_seed is None else own_seed,
        "deterministic": protocol["numerics"]["deterministic"],
        "last_step": protocol["plan"]["rung_steps"][-1],
        "is_longer": "length" in protocol.get("equal_cost", {}),
    }


def _inputs(connection: Connection, sweep_row: Row[Any]) -> dict[str, Any]:
    row = connection.execute(INPUTS, {"sweep_id": sweep_row.id}).one_or_none()
    name = sweep_row.protocol["task"]["name"]
    if row is None:
        return {"task": name, "data_root": None}
    return {"task": row.task_file or name, "data_root": row.data_root}


def _columns(row: Row[Any]) -> dict[str, Any]:
    names = (
        "params",
        "origin",
        "bracket",
        "state",
        "diverged",
        "reason",
        "step",
        "trained_steps",
        "wasted_steps",
        "device_seconds",
        "wasted_seconds",
        "checkpoint",
    )
    return {name: getattr(row, name) for name in names}


def _rung(values: Mapping[str, Any]) -> Rung:
    return Rung(**{**values, "class_iou": tuple(values["class_iou"])})


def _stretch(part: Row[Any]) -> Stretch:
    return Stretch(
        segment=part.id,
        start_step=part.start_step,
        reached_step=part.reached_step,
        stop_step=part.stop_step,
        ending=part.ending,
        seconds=part.seconds,
        device=part.device_name,
        log=segment_file_beside(part.folder, part.id),
    )


def kept_losses(parts: Iterable[Row[Any]]) -> tuple[tuple[int, float], ...]:
    """Return the loss points in a trial's SEGMENTS; what was lost and trained again counts once."""
    kept = (part for part in parts if part.ending != "lost")
    points = {step: loss for part in kept for step, loss in part.losses or ()}
    return tuple(sorted(points.items()))
