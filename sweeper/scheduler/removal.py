"""Removing a sweep, or one of its methods: what goes, and its going, safe to repeat."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, select

from sweeper.core.errors import SweeperError
from sweeper.core.names import study_name
from sweeper.scheduler.lease import Holder, Lease, acquire, holder_of
from sweeper.store.database import Store
from sweeper.store.log import note
from sweeper.store.log_files import roots, sweep_file
from sweeper.store.lookup import find_children, find_studies, find_sweep
from sweeper.store.schema import confusion, event, segment, segment_member, study, sweep, trial
from trainers.errors import near_miss


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What is to go."""

    sweep: str
    sweep_id: int
    is_whole: bool  # the sweep itself too, not only one method
    stage_ids: tuple[int, ...]  # that confirm it and go with it
    study_ids: tuple[int, ...]
    studies: tuple[str, ...]  # names in Optuna's tables
    trials: int
    files: tuple[Path, ...]  # checkpoints that lie on this machine
    bytes: int
    logs: tuple[Path, ...]  # of the sweep and its segments; those of one method alone stay


def plan_removal(connection: Connection, name: str, method: str | None = None) -> Removal:
    """Return what removing a sweep, or one method with all its searches, would take away.

    Raises SweeperError for an unknown name, and while a driver is alive.
    """
    row = find_sweep(connection, name)
    if (
        row.equal_cost is not None
    ):  # its costs are those of every part, and what was read for it is on record there
        stage = connection.scalar(select(sweep.c.name).where(sweep.c.id == row.confirms))
        raise SweeperError(f"{name} goes with its confirmation: sweeper delete {stage}")
    stages = _descendants(connection, row.id)
    for each in (row, *stages):
        _refuse_driver(each.name, holder_of(connection, each.id))
    if method is not None and row.confirms is not None:
        raise SweeperError(
            f"{name} is one confirmation of all its methods together: it goes as a whole or stays"
        )
    if method is not None and stages:
        raise SweeperError(
            f"sweep {name} is confirmed, and its methods are compared together: delete "
            f"{', '.join(s.name for s in stages if s.equal_cost is None)} before one of its methods"
        )
    studies = find_studies(connection, row)
    chosen = [each for each in studies if method in (None, each.method)]
    if method is not None and not chosen:
        known = {each.method for each in studies}
        raise SweeperError(f"no method {method!r} in sweep {name}{near_miss(method, known)}")
    ids = [each.id for each in chosen]
    owners = [row, *stages]
    files = _files(connection, owners, ids, is_whole=method is None)
    theirs = select(study.c.id).where(study.c.sweep_id.in_([stage.id for stage in stages]))
    counted = select(func.count()).where(trial.c.study_id.in_(ids) | trial.c.study_id.in_(theirs))
    return Removal(
        sweep=name,
        sweep_id=row.id,
        is_whole=method is None,
        stage_ids=tuple(stage.id for stage in stages),
        study_ids=tuple(ids),
        studies=tuple(study_name(name, each.method, each.repeat) for each in chosen),
        trials=int(connection.scalar(counted) or 0),
        files=tuple(files),
        bytes=sum(file.stat().st_size for file in files),
        logs=_logs(connection, owners) if method is None else (),
    )


def remove(store: Store, removal: Removal) -> None:
    """Take it away: Optuna's studies, checkpoints, then our rows, so that a repeat completes it.

    Raises SweeperError when a driver has begun meanwhile.
    """
    with ExitStack() as held:
        lease, *_ = [
            _hold(held, store, removal.sweep, each)
            for each in (removal.sweep_id, *removal.stage_ids)
        ]
        _delete_projection(store, removal)
        _delete_files((*removal.files, *removal.logs))
        with store.engine.begin() as connection:
            _delete_rows(connection, lease, removal)
        if not removal.is_whole:
            _mend_projection(store, removal)


def _descendants(connection: Connection, sweep_id: int) -> list[Row[Any]]:
    """Return all that goes with a sweep: what confirms it, and what stands beside that."""
    children = find_children(connection, sweep_id)
    return children + [each for row in children for each in _descendants(connection, row.id)]


def _hold(held: ExitStack, store: Store, name: str, sweep_id: int) -> Lease:
    """Take the lease of a sweep for as long as the stack is open; SweeperError if it is driven."""
    lease = acquire(store.engine, sweep_id)
    if isinstance(lease, Holder):
        raise _driven(name, lease)
    held.callback(lease.release, store.engine)
    return lease


def _refuse_driver(name: str, holder: Holder | None) -> None:
    if holder is not None and holder.alive:
        raise _driven(name, holder)


def _driven(name: str, holder: Holder) -> SweeperError:
    return SweeperError(
        f"{holder.name} drives sweep {name}; end that first (`sweeper pause {name}`), then delete"
    )


def _files(
    connection: Connection, sweeps: Sequence[Row[Any]], study_ids: list[int], *, is_whole: bool
) -> list[Path]:
    """Return the checkpoints that are there; of a whole sweep also what crashes left behind."""
    if is_whole:
        ids = [row.id for row in sweeps]
        folders = select(segment.c.folder).where(segment.c.sweep_id.in_(ids))
        paths = [Path(folder) for folder in connection.scalars(folders) if folder]
        found = {file for folder in paths for file in folder.rglob("*") if file.is_file()}
        return sorted(found)
    checkpoints = select(trial.c.checkpoint).where(
        trial.c.study_id.in_(study_ids), trial.c.checkpoint.is_not(None)
    )
    return [file for text in connection.scalars(checkpoints) if (file := Path(text)).is_file()]


def _logs(connection: Connection, sweeps: Sequence[Row[Any]]) -> tuple[Path, ...]:
    folders = {sweep_file(root).parent for row in sweeps for root in roots(connection, row)}
    return tuple(sorted(file for folder in folders for file in folder.glob("*.jsonl")))


def _delete_projection(store: Store, removal: Removal) -> None:
    from sweeper.optuna_export.projection import Projection  # loads optuna

    Projection(store.engine, store.storage).delete(list(removal.studies))


def _mend_projection(store: Store, removal: Removal) -> None:
    """Take the method out of what the notes of the other studies say."""
    from sweeper.optuna_export.projection import Projection  # loads optuna

    Projection(store.engine, store.storage).update(removal.sweep_id)


def _note_reading(connection: Connection, removal: Removal) -> None:
    """Keep, with the sweep that a stage confirms, that the reported split was read for it."""
    parent = connection.scalar(select(sweep.c.confirms).where(sweep.c.id == removal.sweep_id))
    if parent is not None:
        theirs = study.c.sweep_id.in_((removal.sweep_id, *removal.stage_ids))
        read = select(func.count()).where(
            confusion.c.study_id.in_(select(study.c.id).where(theirs))
        )
        readings = int(connection.scalar(read) or 0)
        note(connection, parent, "confirmation deleted", name=removal.sweep, readings=readings)


def _delete_files(files: Iterable[Path]) -> None:
    """Delete files, then the segments' folders and the sweep's that are empty without them."""
    for file in files:
        file.unlink(missing_ok=True)
    folders = {file.parent for file in files}
    for folder in (*folders, *{folder.parent for folder in folders}):
        if folder.is_dir() and not any(folder.iterdir()):
            shutil.rmtree(folder)


def _delete_rows(connection: Connection, lease: Lease, removal: Removal) -> None:
    lease.fence(connection)
    if removal.is_whole:
        _note_reading(connection, removal)
        connection.execute(delete(sweep).where(sweep.c.id == removal.sweep_id))
        return
    ids = list(removal.study_ids)
    connection.execute(delete(event).where(event.c.study_id.in_(ids)))
    connection.execute(delete(study).where(study.c.id.in_(ids)))
    has_member = exists().where(segment_member.c.segment_id == segment.c.id)
    connection.execute(delete(segment).where(segment.c.sweep_id == removal.sweep_id, ~has_member))
