"""Finding sweeps, studies and trials by what people call them; what is not there names its like."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select

from sweeper.core.errors import SweeperError
from sweeper.core.names import study_name
from sweeper.store.schema import launch, study, sweep, trial
from trainers.errors import near_miss


def sweep_names(connection: Connection, *, stages: bool = False) -> list[str]:
    """Return the names of all sweeps, oldest first; those of confirmations only if asked for."""
    query = select(sweep.c.name).order_by(sweep.c.id)
    return list(connection.scalars(query if stages else query.where(sweep.c.confirms.is_(None))))


def find_sweep(connection: Connection, name: str) -> Row[Any]:
    """Return the row of the sweep of that name; SweeperError where there is none."""
    row = connection.execute(select(sweep).where(sweep.c.name == name)).one_or_none()
    if row is None:
        known = sweep_names(connection, stages=True)
        hint = (
            near_miss(name, known) if known else "; there is none yet, start with `sweeper launch`"
        )
        raise SweeperError(f"no sweep {name!r}{hint}")
    return row


def lock_sweep(connection: Connection, name: str) -> Row[Any]:
    """Return it as `find_sweep` does, and let nobody else declare anything beside it meanwhile."""
    row = find_sweep(connection, name)
    connection.execute(select(sweep.c.id).where(sweep.c.id == row.id).with_for_update())
    return row


def find_children(connection: Connection, sweep_id: int) -> list[Row[Any]]:
    """Return the rows of a sweep's confirmations, or of the parts at equal cost beside one."""
    query = select(sweep).where(sweep.c.confirms == sweep_id).order_by(sweep.c.stage, sweep.c.id)
    return list(connection.execute(query))


def last_inputs(connection: Connection, sweep_id: int) -> dict[str, Any]:
    """Return what the last launch of a sweep was given and ran with; empty without one."""
    query = (
        select(launch.c.provenance)
        .where(launch.c.sweep_id == sweep_id)
        .order_by(launch.c.id.desc())
        .limit(1)
    )
    return dict(connection.scalar(query) or {})


def find_studies(connection: Connection, sweep_row: Row[Any]) -> list[Row[Any]]:
    """Return the studies of a sweep in the order of their launch."""
    query = select(study).where(study.c.sweep_id == sweep_row.id).order_by(study.c.id)
    return list(connection.execute(query))


def find_study(
    connection: Connection, sweep_row: Row[Any], method: str, repeat: int = 1
) -> Row[Any]:
    """Return the row of one study; SweeperError where the sweep has no such search."""
    rows = {(row.method, row.repeat): row for row in find_studies(connection, sweep_row)}
    if (method, repeat) not in rows:
        known = [study_name(sweep_row.name, *key) for key in rows]
        wanted = study_name(sweep_row.name, method, repeat)
        raise SweeperError(f"no method {wanted!r}{near_miss(wanted, known)}")
    return rows[method, repeat]


def find_trial(connection: Connection, study_row: Row[Any], number: int) -> Row[Any]:
    """Return the row of one trial; SweeperError where the plan is not that long."""
    key = (trial.c.study_id == study_row.id, trial.c.number == number)
    row = connection.execute(select(trial).where(*key)).one_or_none()
    if row is None:
        counted = select(func.count()).where(trial.c.study_id == study_row.id)
        count = connection.scalar(counted) or 0
        there = f"there are #0 to #{count - 1}" if count else "none is planned yet"
        raise SweeperError(f"no trial #{number} of {study_row.method}: {there}")
    return row
