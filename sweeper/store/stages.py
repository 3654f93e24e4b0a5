"""Confirmations in the log, and equal cost beside them: the best trial, what is planned of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, func, insert, select, update

from sweeper.core.names import child_name, family_name
from sweeper.search.protocol import plan_of
from sweeper.store.log import Study
from sweeper.store.row_digests import add_digest
from sweeper.store.schema import bracket, study, sweep, trial
from trainers.tasks.identity import digest

PUBLISHED, TUNED = "published", "tuned"
ALL_GO_ON = 1_000_000  # every confirmation is an anchor: nothing is judged
OWN = ("id", "state", "reason", "created_at")  # of a study, not to be copied


def decided(connection: Connection, study_ids: Sequence[int], budget: int) -> dict[int, int]:
    """Return how many of the first `budget` trials of each search are decided."""
    query = (
        select(trial.c.study_id, func.count().label("decided"))
        .where(trial.c.study_id.in_(study_ids), trial.c.number < budget, trial.c.state != "RUNNING")
        .group_by(trial.c.study_id)
    )
    return {row.study_id: row.decided for row in connection.execute(query)}


def best_trial(connection: Connection, study_id: int, budget: int) -> int | None:
    """Return the best complete trial of the first `budget`, the earlier of two equal ones."""
    query = (
        select(trial.c.number)
        .where(trial.c.study_id == study_id, trial.c.number < budget, trial.c.state == "COMPLETE")
        .order_by(trial.c.score.desc(), trial.c.number)
        .limit(1)
    )
    return connection.scalar(query)


def add_stage(
    connection: Connection, parent: Row[Any], stage: int, terms: Mapping[str, Any]
) -> Row[Any]:
    """Store a stage of a sweep on these terms and return its row."""
    protocol = {
        **parent.protocol,
        "plan": _to_the_end(plan_of(parent.protocol).rung_steps[-1]),
        "confirmation": dict(terms),
    }
    return _add_child(connection, parent, protocol, f"confirm-{stage}", stage=stage)


def add_equal_cost(
    connection: Connection, stage: Row[Any], part: str, terms: Mapping[str, Any], length: float = 1
) -> Row[Any]:
    """Store what is trained beside a stage, `length` times as long, and return its row."""
    steps = round(plan_of(stage.protocol).rung_steps[-1] * length)
    task = stage.protocol["task"]
    protocol = {
        **stage.protocol,
        "task": {**task, "schedule": {**task["schedule"], "steps": steps}},
        "plan": _to_the_end(steps),
        "equal_cost": dict(terms),
    }
    return _add_child(connection, stage, protocol, part, equal_cost=part)


def configurations(search: Study, incumbent: int) -> dict[str, int]:
    """Return what is confirmed of a search: published or tuned -> number of the trial.

    A search whose best trial is the published one is trained once, for both; what is published is
    one configuration, however often it is tuned.
    """
    if search.repeat > 1:
        return {TUNED: incumbent}
    return {PUBLISHED: 0} | ({TUNED: incumbent} if incumbent else {})


def add_confirmations(
    connection: Connection,
    stage: Row[Any],
    search: Study,
    chosen: Mapping[str, int],
    seeds: Sequence[int],
) -> None:
    """Plan the confirmations of a search's trials, seed by seed: a stop finds all equally far."""
    params = _params(connection, search.id, list(chosen.values()))
    runs = [(seed, origin, params[number]) for seed in seeds for origin, number in chosen.items()]
    study_id = _add_study(connection, stage, search, len(runs))
    steps = plan_of(stage.protocol).rung_steps[-1]
    own = [
        {"study_id": study_id, "index": place, "planned_steps": steps} for place in range(len(runs))
    ]
    trials = [
        {"number": place, "bracket": place, "origin": origin, "params": values, "seed": seed}
        for place, (seed, origin, values) in enumerate(runs)
    ]
    connection.execute(insert(bracket), own)
    connection.execute(insert(trial), [{"study_id": study_id, "rung": 0, **t} for t in trials])


def unblock(connection: Connection, stage_id: int) -> None:
    """Let what was blocked in a stage go on, as a relaunch does for a search."""
    where = (study.c.sweep_id == stage_id, study.c.state == "blocked")
    connection.execute(update(study).where(*where).values(state="active", reason=None))


def _to_the_end(steps: int) -> dict[str, Any]:
    return {"bracket": 1, "rung_steps": [steps], "keep": [1], "anchors": ALL_GO_ON}


def _add_child(
    connection: Connection, parent: Row[Any], protocol: dict[str, Any], name: str, **part: Any
) -> Row[Any]:
    family = family_name(parent.name)
    added = insert(sweep).values(
        name=child_name(family, name),
        seed=parent.seed,
        protocol=protocol,
        protocol_hash=digest(protocol),
        teacher_hash=parent.teacher_hash,
        folder=f"{family}-{name}-{uuid4().hex[:8]}",
        confirms=parent.id,
        **part,
    )
    row = connection.execute(added.returning(sweep)).one()
    add_digest(connection, "sweep", row.id)
    add_digest(connection, "teacher", row.id)
    return row


def _add_study(connection: Connection, stage: Row[Any], search: Study, budget: int) -> int:
    """Copy a search, with what it has frozen, into the stage; return the copy's id."""
    row = connection.execute(select(study).where(study.c.id == search.id)).one()
    values = {name: value for name, value in row._asdict().items() if name not in OWN}
    values |= {"sweep_id": stage.id, "budget": budget}
    identifier = connection.execute(insert(study).values(values).returning(study.c.id)).scalar_one()
    add_digest(connection, "study", identifier)
    add_digest(connection, "calibration", identifier)
    return int(identifier)


def _params(
    connection: Connection, study_id: int, numbers: Sequence[int]
) -> dict[int, Mapping[str, float]]:
    where = (trial.c.study_id == study_id, trial.c.number.in_(numbers))
    rows = connection.execute(select(trial.c.number, trial.c.params).where(*where))
    return {row.number: row.params for row in rows}
