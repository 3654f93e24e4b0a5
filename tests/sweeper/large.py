"""A large sweep in the log, written in bulk: as many methods and trials as one wishes.

Task shapes, rungs at steps 20 and 60; every method has its own level, and its trials fall off
around its own best place. Of every later bracket half the trials are stopped at step 20, one in
forty diverges.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Engine, insert

from sweeper.declaring import BASELINE
from sweeper.protocol import build_protocol
from sweeper.search.plan import Plan
from sweeper.search.space import Space, build_space
from sweeper.store.schema import launch, segment, study
from sweeper.store.schema import sweep as sweeps
from trainers.identity import digest
from trainers.tasks import load_task

BRACKET = 8
TRIAL = (
    *("study_id", "number", "bracket", "origin", "params", "state", "diverged", "rung", "step"),
    *("value", "begun_steps", "trained_steps", "device_seconds"),
)
RUNG = ("study_id", "number", "index", "step", "value", "class_iou", "weights_hash", "segment_id")
PROVENANCE = {
    "python": "3.11.7",
    "packages": {"sweeper": "0.1.0", "torch": "2.11.0"},
    "git": {"commit": "0" * 40, "dirty": False},
    "machine": "x86_64",
    "processor": "processor A",
    "cpus": 8,
    "data_note": "",
}


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search that is to be written."""

    study_id: int
    method: str
    space: Space
    segment_id: int


def fill_large(engine: Engine, methods: Sequence[str], trials: int, name: str = "large") -> None:
    """Write a finished sweep of these methods, so many trials each."""
    with engine.begin() as connection:
        sweep_id = connection.scalar(insert(sweeps).values(_sweep(name)).returning(sweeps.c.id))
        who = {"who": "somebody@somewhere", "command": f"sweeper launch --sweep {name}"}
        connection.execute(insert(launch).values(sweep_id=sweep_id, provenance=PROVENANCE, **who))
        part = {"sweep_id": sweep_id, "epoch": 1, "seed": 1, "state": "done", "start_step": 0}
        part |= {"stop_step": 60, "progress_step": 60, "folder": "/x"}
        segment_id = connection.scalar(insert(segment).values(part).returning(segment.c.id))
        searches = []
        for method in methods:
            space = space_of(method)
            values = _study(space, trials) | {"sweep_id": sweep_id, "method": method}
            study_id = connection.scalar(insert(study).values(values).returning(study.c.id))
            searches.append(
                Search(study_id=study_id, method=method, space=space, segment_id=segment_id)
            )
    rows = [row for search in searches for row in _trials(search, trials)]
    copy(engine, "sweeper.trial", TRIAL, (row for row, _ in rows))
    copy(engine, "sweeper.rung", RUNG, (rung for _, rungs in rows for rung in rungs))


def space_of(method: str) -> Space:
    """Return the space of a method; one that nobody wrote has kd's."""
    known = build_space(load_task("shapes"), BASELINE if method == BASELINE else "kd")
    return known.model_copy(update={"method": method})


def level_of(method: str) -> float:
    """Return the mIoU that a method's best place is worth."""
    return 40.0 if method == BASELINE else 40.0 + zlib.crc32(method.encode()) % 400 / 100 - 2.0


def copy(engine: Engine, table: str, columns: Sequence[str], rows: Iterator[Any]) -> None:
    """Write rows by COPY."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    text.seek(0)
    names = ", ".join(f'"{column}"' for column in columns)
    session = engine.raw_connection()
    with session.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN (FORMAT csv)", text)  # type: ignore[attr-defined]
    session.commit()
    session.close()


def _sweep(name: str) -> dict[str, Any]:
    task = load_task("shapes")
    protocol = build_protocol(
        task,
        Plan.of(task),
        space="primary",
        deterministic=False,
        data_fingerprint="data",
        teacher_recipe=None,
    )
    identity = {"name": name, "seed": 7, "folder": name}
    return identity | {"protocol": protocol, "protocol_hash": digest(protocol)}


def _study(space: Space, trials: int) -> dict[str, Any]:
    stored = {"space": space.model_dump(mode="json"), "space_hash": space.hash}
    return stored | {"repeat": 1, "target": trials, "code_hash": "code", "needs_teacher": False}


def _trials(search: Search, count: int) -> Iterator[tuple[list[Any], list[list[Any]]]]:
    """Yield every trial's row, and those of the rungs that it reached."""
    generator = np.random.default_rng(zlib.crc32(search.method.encode()))
    columns = [dimension.column for dimension in search.space.dimensions]
    places = generator.random((count, len(columns)))
    noise = generator.normal(0, 0.4, (count, 2))
    best = generator.uniform(0.3, 0.7, len(columns))
    for number in range(count):
        units = dict(zip(columns, places[number], strict=True))
        params = search.space.point(units) if number else search.space.published
        loss = 8 * float(((places[number] - best) ** 2).sum())
        final = level_of(search.method) - loss + noise[number, 0]
        yield _rows(search, number, params, (0.6 * final + noise[number, 1], final))


def _rows(
    search: Search, number: int, params: dict[str, float], values: tuple[float, float]
) -> tuple[list[Any], list[list[Any]]]:
    diverged = number % 40 == 29
    pruned = number >= BRACKET and number % 2 == 1
    reached = 1 if diverged or pruned else 2
    origin = "published" if number == 0 else "sobol" if number < BRACKET else "tpe"
    step = 35 if diverged else (20, 60)[reached - 1]
    value = None if diverged else round(values[reached - 1], 4)
    ended = ["PRUNED" if reached == 1 else "COMPLETE", diverged, int(not pruned), step, value]
    key = [search.study_id, number]
    row = [*key, number // BRACKET, origin, json.dumps(params), *ended, step, step, step / 10]
    rungs = [
        [*key, i, (20, 60)[i], round(values[i], 4), "[50.0, null, 30.5]", "w", search.segment_id]
        for i in range(reached)
    ]
    return row, rungs
