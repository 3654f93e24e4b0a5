"""A small sweep written into the tables by plain inserts: every state a trial can end in.

Task shapes, rungs at steps 26 and 80, two brackets of 8 a method. Of each method trial 5 diverged,
trial 9 failed, 8, 11, 13 and 15 were pruned at step 26, the other ten are complete.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from sweeper.names import trial_name
from sweeper.protocol import build_protocol
from sweeper.search.plan import Plan
from sweeper.search.seeds import training_seed
from sweeper.search.space import Space, build_space
from sweeper.store.schema import (
    artifact,
    bracket,
    event,
    launch,
    rung,
    segment,
    segment_member,
    study,
)
from sweeper.store.schema import sweep as sweeps
from sweeper.store.schema import trial as trials
from tests.sweeper.recorded import CALIBRATION, CODE, DEVICE, PROVENANCE, TEACHER
from trainers.identity import digest
from trainers.tasks import load_task

METHODS = ("baseline", "kd", "rdd")
BUDGET = 16
DIVERGED = {5}
FAILED = {9}
PRUNED = {8, 11, 13, 15}
GAIN = {"baseline": 0.0, "kd": 1.5, "rdd": 0.75}
LOSS_OF_PRUNED = 12.0
SEED = 7
RUNGS = (26, 80)
GOLDEN = 0.6180339887
BEST = 3  # the best trial of every method
PARTS = ("bracket", "trial", "rung")
COMMAND = "sweeper launch --task shapes --method baseline --method kd --method rdd --budget 16"
FAILURE = "ValueError: no teacher\nTraceback (most recent call last):\nValueError: no teacher"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a synthetic sweep is written to."""

    connection: Connection
    sweep_id: int
    sweep: str
    folder: Path


def fill(
    engine: Engine,
    name: str = "demo",
    methods: tuple[str, ...] = METHODS,
    folder: Path = Path("/checkpoints"),
) -> int:
    """Write a finished sweep and return its id; no file is written."""
    with engine.begin() as connection:
        place = Place(
            connection=connection,
            sweep_id=_add_sweep(connection, name),
            sweep=name,
            folder=folder / name,
        )
        for method in methods:
            _add_study(place, method)
    return place.sweep_id


def leave_in_flight(engine: Engine, study_id: int, number: int = 15) -> None:
    """Put a decided trial of a filled sweep back into training, from step 26 to 80, at 33."""
    with engine.begin() as connection:
        key = (trials.c.study_id == study_id, trials.c.number == number)
        row = connection.execute(trials.select().where(*key)).one()
        sweep_id = connection.scalar(study.select().with_only_columns(study.c.sweep_id))
        connection.execute(
            update(trials).where(*key).values(state="RUNNING", rung=1, step=26, finished_at=None)
        )
        seed = training_seed(SEED, 1)
        values = {"sweep_id": sweep_id, "epoch": 1, "seed": seed, "state": "in flight"}
        values |= {"start_step": 26, "stop_step": 80, "progress_step": 33, "folder": "/x/segment-0"}
        identifier = inserted(connection, segment, values)
        member = {"segment_id": identifier, "study_id": row.study_id, "number": number}
        connection.execute(insert(segment_member).values(ordinal=0, **member))


def miou_of(method: str, number: int, step: int) -> float:
    """Return the synthetic mIoU of a trial at a step."""
    distance = math.log10(params_of(method, number)["learning_rate"] / 0.03) ** 2
    loss = LOSS_OF_PRUNED if number in PRUNED else 0.0
    final = round(40 + GAIN.get(method, 0.0) - 4 * distance - loss, 3)
    return final * (0.6 if step == RUNGS[0] else 1.0)


def params_of(method: str, number: int) -> dict[str, float]:
    """Return the hyperparameters of a trial: trial 0's are published, the rest even multiples."""
    space = space_of(method)
    if number == 0:
        return space.published
    units = {d.column: (number * GOLDEN + d.column * 0.37) % 1 for d in space.dimensions}
    return space.point(units)


def space_of(method: str) -> Space:
    """Return the primary space of a method under the task."""
    return build_space(load_task("shapes"), method)


def _add_sweep(connection: Connection, name: str) -> int:
    task = load_task("shapes")
    protocol = build_protocol(
        task,
        Plan.of(task),
        space="primary",
        deterministic=False,
        data_fingerprint="data",
        teacher_recipe=TEACHER["hash"],
    )
    connection.execute(upsert(artifact).values(**TEACHER).on_conflict_do_nothing())
    values = {
        "name": name,
        "seed": SEED,
        "teacher_hash": TEACHER["weights_hash"],
        "protocol": protocol,
        "protocol_hash": digest(protocol),
        "folder": name,
    }
    sweep_id = inserted(connection, sweeps, values)
    who = {"who": "somebody@somewhere", "command": COMMAND, "provenance": PROVENANCE}
    connection.execute(insert(launch).values(sweep_id=sweep_id, **who))
    return sweep_id


def _add_study(place: Place, method: str) -> None:
    space = space_of(method)
    values = {
        "sweep_id": place.sweep_id,
        "method": method,
        "repeat": 1,
        "target": BUDGET,
        "space": space.model_dump(mode="json"),
        "space_hash": space.hash,
        "code_hash": "code",
        "needs_teacher": method != "baseline",
        "calibration": CALIBRATION if space.awaits_calibration else None,
    }
    study_id = inserted(place.connection, study, values)
    for index in (0, 1):
        _add_bracket(place, method, study_id, index)


def _add_bracket(place: Place, method: str, study_id: int, index: int) -> None:
    numbers = range(index * 8, index * 8 + 8)
    planned = 8 * 80 if index == 0 else 8 * 26 + 3 * 54
    place.connection.execute(
        insert(bracket).values(study_id=study_id, index=index, planned_steps=planned)
    )
    _note(place, study_id, "planned", bracket=index)
    rows = [_trial(place, method, number) for number in numbers]
    place.connection.execute(
        insert(trials), [{"study_id": study_id, "bracket": index, **row} for row in rows]
    )
    going_on = list(numbers)
    for level, step in enumerate(RUNGS):
        _add_segment(place, (method, study_id), (level, step), going_on)
        going_on = [n for n in going_on if n not in PRUNED | FAILED]
        if index == 1 and level == 0:
            _note(place, study_id, "judged", bracket=1, rung=0, promoted=going_on)


def _trial(place: Place, method: str, number: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "number": number,
        "origin": "published" if number == 0 else "sobol" if number < 8 else "tpe",
        "params": params_of(method, number),
        "rung": 1,
        "diverged": False,
        "reason": None,
        "checkpoint": None,
        "value": None,
        "state": "COMPLETE",
        "step": 80,
    }
    if number in DIVERGED:
        row |= {"state": "PRUNED", "diverged": True, "step": 35}
    elif number in FAILED:
        row |= {"state": "FAIL", "reason": FAILURE, "step": 11, "rung": 0}
    elif number in PRUNED:
        row |= {"state": "PRUNED", "value": miou_of(method, number, 26), "step": 26, "rung": 0}
    else:
        file = place.folder / "segment" / f"{method}-{number}.pt"
        row |= {"value": miou_of(method, number, 80), "checkpoint": str(file)}
    spent = {"trained_steps": row["step"], "device_seconds": row["step"] / 10}
    return row | spent | {"wasted_steps": 3 if number == 3 else 0, "begun_steps": row["step"]}


def _add_segment(
    place: Place, owner: tuple[str, int], goal: tuple[int, int], numbers: list[int]
) -> None:
    level, step = goal
    start = RUNGS[level - 1] if level else 0
    seed = training_seed(SEED, 1)
    values = {"sweep_id": place.sweep_id, "epoch": 1, "seed": seed, "state": "done"}
    values |= {"start_step": start, "stop_step": step, "progress_step": step}
    values |= {"device_name": DEVICE, "code_hash": CODE}
    values |= {"folder": str(place.folder / "segment")}
    identifier = inserted(place.connection, segment, values)
    parts = [_member(owner, number, (level, start, step)) for number in numbers]
    members = [{**part, "ordinal": ordinal} for ordinal, (part, _) in enumerate(parts)]
    rungs = [reached for _, reached in parts if reached]
    for table, rows in ((segment_member, members), (rung, rungs)):
        place.connection.execute(insert(table), [{"segment_id": identifier, **row} for row in rows])


def _member(
    owner: tuple[str, int], number: int, goal: tuple[int, int, int]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return a trial's part in a segment, and the rung it reached there."""
    (method, study_id), (level, start, step) = owner, goal
    ended = "failed" if number in FAILED else "diverged" if number in DIVERGED and level else ""
    reached = {"failed": 11, "diverged": 35}.get(ended, step)
    key = {"study_id": study_id, "number": number}
    part = {
        **key,
        "ending": ended or "reached",
        "reached_step": reached,
        "seconds": (reached - start) / 10,
        "losses": [[at, 2.0 * math.exp(-at / 30)] for at in range(start + 5, reached + 1, 5)],
    }
    if ended:
        return part, None
    return part, {
        **key,
        "index": level,
        "step": step,
        "value": miou_of(method, number, step),
        "class_iou": [50.0, None, 30.5],
        "weights_hash": digest([trial_name("demo", method, 1, number), step]),
    }


def _note(place: Place, study_id: int, kind: str, **detail: Any) -> None:
    values = {"sweep_id": place.sweep_id, "study_id": study_id, "kind": kind, "detail": detail}
    place.connection.execute(insert(event).values(**values))


def inserted(connection: Connection, table: Any, values: dict[str, Any]) -> int:
    """Insert a row and return its id."""
    return int(connection.scalar(insert(table).values(**values).returning(table.c.id)) or 0)


def copy_search(engine: Engine, study: int, repeat: int) -> None:
    """Give a search's method another search with the same trials."""
    copy = 10 * study + repeat
    columns = {"study": "id", **dict.fromkeys(PARTS, "study_id")}
    with engine.begin() as connection:
        for table, column in columns.items():
            changed = {column: copy, **({"repeat": repeat} if table == "study" else {})}
            record = "(jsonb_populate_record(t, CAST(:changed AS jsonb))).*"
            statement = (
                f"INSERT INTO sweeper.{table} SELECT {record} "
                f"FROM sweeper.{table} t WHERE {column} = :study"
            )
            connection.execute(text(statement), {"changed": json.dumps(changed), "study": study})
        connection.execute(text("SELECT setval('sweeper.study_id_seq', 100)"))
