"""A small sweep written into the tables by plain inserts: every state a trial can end in.

Task shapes, rungs at steps 26 and 80, two brackets of 8 a method. Of each method trial 5 diverged,
trial 9 failed, 8, 11, 13 and 15 were pruned at step 26, the other ten are complete.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from sweeper.core.names import trial_name
from sweeper.core.provenance import Launch
from sweeper.search.brackets import BracketPlan
from sweeper.search.sampler import plan_bracket
from sweeper.search.seeds import training_seed
from sweeper.search.space import Space, build_space
from sweeper.search.trials import PastTrial, PlannedTrial
from sweeper.store.launches import add_launch
from sweeper.store.schema import (
    artifact,
    bracket,
    event,
    rung,
    segment,
    segment_member,
    study,
)
from sweeper.store.schema import sweep as sweeps
from sweeper.store.schema import trial as trials
from tests.sweeper.digested import add_all_digests
from tests.sweeper.recorded import CALIBRATION, PROVENANCE, TEACHER
from tests.sweeper.rows import (
    SEED,
    Row,
    member_row,
    rung_row,
    segment_row,
    study_row,
    sweep_row,
    trial_row,
)
from trainers.tasks import load_task
from trainers.tasks.identity import digest

METHODS = ("baseline", "kd", "rdd")
BUDGET = 16
DIVERGED = {5}
FAILED = {9}
PRUNED = {8, 11, 13, 15}
GAIN = {"baseline": 0.0, "kd": 1.5, "rdd": 0.75}
LOSS_OF_PRUNED = 12.0
RUNGS = (26, 80)
GOLDEN = 0.6180339887
BEST = 1  # the best trial of every method; no value of it lies at the edge of its range
PLACES = {1: 3, 3: 1}  # trials that have the value of another place
Owner = tuple[str, int, int]  # method, id and repeat of a search
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
        add_all_digests(connection)
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
        unknown = dict.fromkeys(("device_name", "code_hash", "ended_at"))
        values = segment_row(sweep_id, seed, 26, 80, state="in flight", progress_step=33)
        identifier = inserted(connection, segment, values | unknown | {"folder": "/x/segment-0"})
        member = {"segment_id": identifier, "study_id": row.study_id, "number": number}
        connection.execute(insert(segment_member).values(ordinal=0, **member))
        add_all_digests(connection)


def score_of(method: str, number: int, step: int) -> float:
    """Return the synthetic mIoU of a trial at a step."""
    distance = math.log10(_place_of(method, number) / 0.03) ** 2
    loss = LOSS_OF_PRUNED if number in PRUNED else 0.0
    final = round(40 + GAIN.get(method, 0.0) - 4 * distance - loss, 3)
    return final * (0.6 if step == RUNGS[0] else 1.0)


def params_of(method: str, number: int, repeat: int = 1) -> dict[str, float]:
    """Return the hyperparameters of a trial, as the search plans them from these values."""
    return dict(_planned(method, repeat)[number].params)


@cache
def _planned(method: str, repeat: int) -> list[PlannedTrial]:
    space, plan = (
        space_of(method).calibrated(CALIBRATION["equal"]),
        BracketPlan.of(load_task("shapes")),
    )
    first = plan_bracket(space, plan, [], seed=SEED, repeat=repeat)
    history = [_past(method, trial) for trial in first]
    return first + plan_bracket(space, plan, history, seed=SEED, repeat=repeat)


def _past(method: str, trial: PlannedTrial) -> PastTrial:
    """Return a trial of the first bracket, of which none is pruned, as the sampler sees it."""
    has_diverged = trial.number in DIVERGED
    reached = RUNGS[:1] if has_diverged else RUNGS
    return PastTrial(
        params=trial.params,
        state="PRUNED" if has_diverged else "COMPLETE",
        score=None if has_diverged else score_of(method, trial.number, RUNGS[-1]),
        rungs={step: score_of(method, trial.number, step) for step in reached},
        diverged=has_diverged,
    )


def _place_of(method: str, number: int) -> float:
    """Return the learning rate that a trial's value is made from, which is not its own."""
    if number == 0:
        return space_of(method).published["learning_rate"]
    rate = next(d for d in space_of(method).dimensions if d.name == "learning_rate")
    return rate.at((PLACES.get(number, number) * GOLDEN + rate.column * 0.37) % 1)


def space_of(method: str) -> Space:
    """Return the primary space of a method under the task."""
    return build_space(load_task("shapes"), method)


def _add_sweep(connection: Connection, name: str) -> int:
    connection.execute(upsert(artifact).values(**TEACHER).on_conflict_do_nothing())
    values = sweep_row(name, TEACHER["hash"], teacher_hash=TEACHER["weights_hash"])
    row = connection.execute(insert(sweeps).values(**values).returning(sweeps)).one()
    who = Launch(who="somebody@somewhere", command=COMMAND, provenance=PROVENANCE)
    add_launch(connection, row, who)
    return int(row.id)


def _add_study(place: Place, method: str, repeat: int = 1, **more: int) -> None:
    space = space_of(method)
    own = {"repeat": repeat, "needs_teacher": method != "baseline"}
    calibration = CALIBRATION if space.awaits_calibration else None
    values = study_row(place.sweep_id, space, BUDGET, calibration=calibration, **own, **more)
    study_id = inserted(place.connection, study, values)
    for index in (0, 1):
        _add_bracket(place, (method, study_id, repeat), index)
    mine = trials.c.study_id == study_id
    place.connection.execute(update(trials).where(mine).values(finished_at=func.now()))


def _add_bracket(place: Place, owner: Owner, index: int) -> None:
    _, study_id, _ = owner
    numbers = range(index * 8, index * 8 + 8)
    planned = 8 * 80 if index == 0 else 8 * 26 + 3 * 54
    place.connection.execute(
        insert(bracket).values(study_id=study_id, index=index, planned_steps=planned)
    )
    _note(place, study_id, "planned", bracket=index)
    place.connection.execute(insert(trials), [_trial(place, owner, number) for number in numbers])
    going_on = list(numbers)
    for level, step in enumerate(RUNGS):
        _add_segment(place, owner, (level, step), going_on)
        going_on = [n for n in going_on if n not in PRUNED | FAILED]
        if index == 1 and level == 0:
            _note(place, study_id, "judged", bracket=1, rung=0, promoted=going_on)


def _trial(place: Place, owner: Owner, number: int) -> Row:
    method, study_id, repeat = owner
    ended: dict[str, Any] = dict.fromkeys(("reason", "checkpoint", "score"))
    if number in DIVERGED:
        ended |= {"state": "PRUNED", "diverged": True, "step": 35, "rung": 1}
    elif number in FAILED:
        ended |= {"state": "FAIL", "reason": FAILURE, "step": 11, "rung": 0}
    elif number in PRUNED:
        ended |= {"state": "PRUNED", "score": score_of(method, number, 26), "step": 26, "rung": 0}
    else:
        file = place.folder / "segment" / f"{method}-{number}.pt"
        ended |= {"score": score_of(method, number, 80), "checkpoint": str(file)}
        ended |= {"state": "COMPLETE", "step": 80, "rung": 1}
    ended |= {"wasted_steps": 3 if number == 3 else 0}
    return trial_row((study_id, number), 8, params_of(method, number, repeat), **ended)


def _add_segment(place: Place, owner: Owner, goal: tuple[int, int], numbers: list[int]) -> None:
    level, step = goal
    start = RUNGS[level - 1] if level else 0
    seed = training_seed(SEED, owner[2])
    folder = str(place.folder / "segment")
    values = segment_row(place.sweep_id, seed, start, step, folder=folder)
    identifier = inserted(place.connection, segment, values)
    parts = [_member(owner, number, (level, start, step), identifier) for number in numbers]
    members = [{**part, "ordinal": ordinal} for ordinal, (part, _) in enumerate(parts)]
    rungs = [reached for _, reached in parts if reached]
    for table, rows in ((segment_member, members), (rung, rungs)):
        place.connection.execute(insert(table), rows)


def _member(
    owner: Owner, number: int, goal: tuple[int, int, int], segment_id: int
) -> tuple[Row, Row | None]:
    """Return a trial's part in a segment, and the rung it reached there."""
    (method, study_id, _), (level, start, step) = owner, goal
    ended = "failed" if number in FAILED else "diverged" if number in DIVERGED and level else ""
    reached = {"failed": 11, "diverged": 35}.get(ended, step)
    key = (study_id, number)
    losses = [[at, 2.0 * math.exp(-at / 30)] for at in range(start + 5, reached + 1, 5)]
    weights = None if ended else digest([trial_name("demo", method, 1, number), step])
    part = member_row(key, segment_id, start, reached, losses=losses, weights_hash=weights)
    if ended:
        return part | {"ending": ended}, None
    score = score_of(method, number, step)
    ious = [score + 9.75, None, score - 9.75]
    evaluated = {"index": level, "step": step, "score": score, "weights_hash": weights}
    return part, rung_row(key, segment_id, ious, **evaluated)


def _note(place: Place, study_id: int, kind: str, **detail: Any) -> None:
    values = {"sweep_id": place.sweep_id, "study_id": study_id, "kind": kind, "detail": detail}
    place.connection.execute(insert(event).values(**values))


def inserted(connection: Connection, table: Any, values: dict[str, Any]) -> int:
    """Insert a row and return its id."""
    return int(connection.scalar(insert(table).values(**values).returning(table.c.id)) or 0)


def copy_search(engine: Engine, study_id: int, repeat: int) -> None:
    """Give a search's method another search, number `10 * study_id + repeat`, of equal values."""
    with engine.begin() as connection:
        row = connection.execute(study.select().where(study.c.id == study_id)).one()
        place = Place(
            connection=connection, sweep_id=row.sweep_id, sweep="demo", folder=Path("/checkpoints")
        )
        _add_study(place, row.method, repeat=repeat, id=10 * study_id + repeat)
        connection.execute(text("SELECT setval('sweeper.study_id_seq', 100)"))
        add_all_digests(connection)
