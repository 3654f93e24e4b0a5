"""Rows of the log as a finished sweep leaves them, for stores that no sweep has filled.

A key is study and number of a trial. What a row has besides, or otherwise, is given by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func

from sweeper.search.brackets import BracketPlan
from sweeper.search.protocol import build_protocol
from sweeper.search.space import Space
from tests.sweeper.recorded import CODE, DEVICE
from trainers.tasks import load_task
from trainers.tasks.identity import digest

Row = dict[str, Any]
Key = tuple[int, int]
SEED = 7
STEPS_A_SECOND = 10


def sweep_row(name: str, teacher_recipe: str | None, **more: Any) -> Row:
    """Return a sweep of the task shapes."""
    task = load_task("shapes")
    protocol = build_protocol(
        task,
        BracketPlan.of(task),
        space="primary",
        deterministic=False,
        data_fingerprint="data",
        teacher_recipe=teacher_recipe,
    )
    terms = {"protocol": protocol, "protocol_hash": digest(protocol)}
    return {"name": name, "seed": SEED, "folder": name, **terms, **more}


def study_row(sweep_id: int, space: Space, budget: int, **more: Any) -> Row:
    """Return the only search of its space's method."""
    stored = {"space": space.model_dump(mode="json"), "space_hash": space.hash}
    own = {"method": space.method, "repeat": 1, "budget": budget, "code_hash": "code"}
    return {"sweep_id": sweep_id, "needs_teacher": False, **stored, **own, **more}


def trial_row(key: Key, size: int, params: Mapping[str, float], **more: Any) -> Row:
    """Return a decided trial of a search in brackets of this size; `more` says what became of it.

    It has spent what its step costs.
    """
    (study_id, number), step = key, more["step"]
    origin = "published" if number == 0 else "sobol" if number < size else "tpe"
    planned = {"bracket": number // size, "origin": origin, "params": params, "diverged": False}
    spent = {"begun_steps": step, "trained_steps": step, "device_seconds": step / STEPS_A_SECOND}
    return {"study_id": study_id, "number": number, **planned, **spent, **more}


def segment_row(sweep_id: int, seed: int, start: int, stop: int, **more: Any) -> Row:
    """Return a segment that has come to its stop."""
    steps = {"start_step": start, "stop_step": stop, "progress_step": stop}
    done = {"state": "done", "device_name": DEVICE, "code_hash": CODE, "ended_at": func.now()}
    return {"sweep_id": sweep_id, "epoch": 1, "seed": seed, "folder": "/x", **steps, **done, **more}


def member_row(key: Key, segment_id: int, start: int, reached: int, **more: Any) -> Row:
    """Return a trial's part in a segment, from one step to another."""
    place = {"study_id": key[0], "number": key[1], "segment_id": segment_id, "ordinal": 0}
    seconds = (reached - start) / STEPS_A_SECOND
    return {**place, "ending": "reached", "reached_step": reached, "seconds": seconds, **more}


def rung_row(key: Key, segment_id: int, class_iou: Sequence[float | None], **more: Any) -> Row:
    """Return a trial's evaluation, whose score is the mean of what its classes have."""
    known = [iou for iou in class_iou if iou is not None]
    place = {"study_id": key[0], "number": key[1], "segment_id": segment_id}
    return {**place, "class_iou": list(class_iou), "score": sum(known) / len(known), **more}
