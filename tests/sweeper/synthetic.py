"""A small sweep written into the tables by plain inserts: every state a trial can end in.

Task shapes, rungs at steps 26 and 80, two brackets of 8 a method. Of each method trial 5 diverged,
trial 9 failed, 8, 11, 13 and 15 were pruned at step 26, the other ten are complete.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from sweeper.confirming import Confirmation, Reported, declare_stage
from sweeper.declaring import Launch
from sweeper.names import trial_name
from sweeper.protocol import build_protocol
from sweeper.search.plan import Plan
from sweeper.search.seeds import training_seed
from sweeper.search.space import Space, build_space
from sweeper.store.schema import (
    artifact,
    bracket,
    confusion,
    event,
    launch,
    rung,
    segment,
    segment_member,
    study,
)
from sweeper.store.schema import sweep as sweeps
from sweeper.store.schema import trial as trials
from tests.sweeper.recorded import CALIBRATION, DEVICE, PROVENANCE, TEACHER
from trainers.confusions import packed
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
        identifier = _inserted(connection, segment, values)
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
    sweep_id = _inserted(connection, sweeps, values)
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
    study_id = _inserted(place.connection, study, values)
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
    values |= {"device_name": DEVICE, "folder": str(place.folder / "segment")}
    identifier = _inserted(place.connection, segment, values)
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


def _inserted(connection: Connection, table: Any, values: dict[str, Any]) -> int:
    return int(connection.scalar(insert(table).values(**values).returning(table.c.id)) or 0)


def confirm(
    engine: Engine,
    values: Mapping[str, Sequence[float]],
    *,
    name: str = "demo",
    published: float = -1.0,
    images: int = 6,
    **terms: Any,
) -> Row[Any]:
    """Declare a confirmation of a filled sweep and finish it; return its row.

    `values` holds the mIoU of each method's tuned configuration, one a seed; the published ones
    are `published` below them. The confusion matrices have three classes and about these values.
    `terms` are those of a Confirmation.
    """
    seeds = {len(of_seed) for method, of_seed in values.items() if method != "baseline"}
    wanted = Confirmation(
        sweep=name,
        methods=None
        if terms.get("more")
        else tuple(method for method in values if method != "baseline"),
        seeds=seeds.pop(),
        baseline_seeds=len(values["baseline"]),
        **terms,
    )
    blocks = tuple(f"drive/{image // 2}" for image in range(images))
    reported = Reported(fingerprint="data", blocks=blocks, classes=("road", "car", "sky"))
    command = f"sweeper confirm {name}"
    who = Launch(who="somebody@somewhere", command=command, provenance=PROVENANCE)
    row = declare_stage(engine, wanted, reported, who)
    with engine.begin() as connection:
        for each in connection.execute(select(study).where(study.c.sweep_id == row.id)).all():
            _finish_confirmations(connection, each, values[each.method], published, images)
    return row


def _finish_confirmations(
    connection: Connection, owner: Row[Any], tuned: Sequence[float], published: float, images: int
) -> None:
    planned = select(trials).where(trials.c.study_id == owner.id).order_by(trials.c.number)
    segments: dict[int, int] = {}  # seed -> its segment, in the order of the seeds
    for row in connection.execute(planned).all():
        if row.seed not in segments:
            segments[row.seed] = _confirming_segment(connection, owner.sweep_id, row.seed)
        identifier, place = segments[row.seed], list(segments).index(row.seed)
        miou = tuned[place] + (published if row.origin == "published" else 0.0)
        key = {"study_id": row.study_id, "number": row.number}
        done = {"state": "COMPLETE", "value": miou, "step": 80, "trained_steps": 80}
        done |= {"device_seconds": 8.0, "finished_at": func.now()}
        where = (trials.c.study_id == row.study_id, trials.c.number == row.number)
        connection.execute(update(trials).where(*where).values(done))
        reached = {"index": 0, "step": 80, "value": miou, "class_iou": [miou, miou, miou]}
        reached |= {"weights_hash": f"{key}", "segment_id": identifier}
        connection.execute(insert(rung).values(**key, **reached))
        part = {"segment_id": identifier, "ordinal": 0, "ending": "reached", "reached_step": 80}
        part["seconds"] = 8.0
        connection.execute(insert(segment_member).values(**key, **part))
        content = packed(confusions_of(miou, images, row.seed))
        connection.execute(insert(confusion).values(**key, content=content))


def _confirming_segment(connection: Connection, sweep_id: int, seed: int) -> int:
    values = {"sweep_id": sweep_id, "epoch": 1, "seed": seed, "state": "done", "start_step": 0}
    values |= {"stop_step": 80, "progress_step": 80, "folder": "/x/confirmed"}
    return _inserted(connection, segment, values | {"device_name": DEVICE})


def confusions_of(miou: float, images: int, seed: int) -> NDArray[np.int32]:
    """Return matrices (images, 3, 3) of 900 pixels each whose IoUs are about `miou` percent."""
    generator = np.random.default_rng(seed)
    share = np.clip(miou / 100 + 0.02 * generator.standard_normal(images), 0.01, 1.0)
    hits = np.rint(300 * 2 * share / (1 + share)).astype(np.int32)  # IoU = hits / (600 - hits)
    missed = 300 - hits
    eye, next_class = np.eye(3, dtype=np.int32), np.roll(np.eye(3, dtype=np.int32), 1, axis=1)
    return hits[:, None, None] * eye + missed[:, None, None] * next_class
