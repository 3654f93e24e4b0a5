"""A large sweep in the log, written in bulk: as many methods and trials as one requests.

Task shapes; every method has its own level, and its trials fall off around its own best place. They
are judged at the first rung as the plan says; of those that go on, one number in forty diverges.
Nothing was calibrated and start-up points differ, so that the comparison is void.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine, insert

from sweeper.core.constants import BASELINE
from sweeper.search.brackets import BracketPlan
from sweeper.search.space import Space, build_space
from sweeper.store.schema import bracket, launch, segment, study
from sweeper.store.schema import sweep as sweeps
from tests.sweeper.rows import (
    Row,
    member_row,
    rung_row,
    segment_row,
    study_row,
    sweep_row,
    trial_row,
)
from tests.sweeper.synthetic import inserted
from trainers.tasks import load_task

PLAN = BracketPlan.of(load_task("shapes"))
FIRST, LAST = PLAN.rung_steps
DIVERGED_AT = 35
TRIAL = (
    *("study_id", "number", "bracket", "origin", "params", "state", "diverged", "rung", "step"),
    *("score", "begun_steps", "trained_steps", "device_seconds", "finished_at"),
)
RUNG = ("study_id", "number", "index", "step", "score", "class_iou", "weights_hash", "segment_id")
PART = (
    *("study_id", "number", "segment_id", "ordinal", "ending", "reached_step", "seconds"),
    "weights_hash",
)
PROVENANCE = {
    "python": "3.11.7",
    "packages": {"sweeper": "0.1.0", "torch": "2.11.0"},
    "git": {"commit": "0" * 40, "dirty": False},
    "machine": "x86_64",
    "processor": "processor A",
    "cpus": 8,
    "data_note": "",
    "code_hash": "code",
}


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search that is to be written."""

    study_id: int
    method: str
    space: Space
    segments: tuple[int, int]  # up to the first rung, and from there to the last


Rows = tuple[Row, list[Row], list[Row]]


def fill_large(engine: Engine, methods: Sequence[str], trials: int, name: str = "large") -> None:
    """Write a finished sweep of these methods, so many trials each."""
    with engine.begin() as connection:
        sweep_id = inserted(connection, sweeps, sweep_row(name, teacher_recipe=None))
        who = {"who": "somebody@somewhere", "command": f"sweeper launch --sweep {name}"}
        connection.execute(insert(launch).values(sweep_id=sweep_id, provenance=PROVENANCE, **who))
        first, last = (
            inserted(connection, segment, segment_row(sweep_id, 1, *steps, code_hash="code"))
            for steps in ((0, FIRST), (FIRST, LAST))
        )
        searches = []
        for method in methods:
            space = space_of(method)
            study_id = inserted(connection, study, study_row(sweep_id, space, trials))
            brackets = range(trials // PLAN.bracket)
            allowed = [{"index": i, "planned_steps": PLAN.planned_steps(i)} for i in brackets]
            connection.execute(insert(bracket), [{"study_id": study_id, **row} for row in allowed])
            searches.append(
                Search(study_id=study_id, method=method, space=space, segments=(first, last))
            )
    rows = [row for search in searches for row in _trials(search, trials)]
    copy(engine, "sweeper.trial", TRIAL, (row for row, _, _ in rows))
    copy(engine, "sweeper.rung", RUNG, (rung for _, rungs, _ in rows for rung in rungs))
    copy(engine, "sweeper.segment_member", PART, (part for *_, parts in rows for part in parts))


def space_of(method: str) -> Space:
    """Return the space of a method; one that nobody wrote has kd's."""
    known = build_space(load_task("shapes"), BASELINE if method == BASELINE else "kd")
    return known.model_copy(update={"method": method})


def level_of(method: str) -> float:
    """Return the mIoU that a method's best place is worth."""
    return 40.0 if method == BASELINE else 40.0 + zlib.crc32(method.encode()) % 400 / 100 - 2.0


def copy(engine: Engine, table: str, columns: Sequence[str], rows: Iterator[Row]) -> None:
    """Write these columns of rows by COPY."""
    text = io.StringIO()
    csv.writer(text).writerows([row[column] for column in columns] for row in rows)
    text.seek(0)
    names = ", ".join(f'"{column}"' for column in columns)
    session = engine.raw_connection()
    with session.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN (FORMAT csv)", text)  # type: ignore[attr-defined]
    session.commit()
    session.close()


def _trials(search: Search, count: int) -> Iterator[Rows]:
    """Yield every trial's row, those of the rungs that it reached, and those of its segments."""
    generator = np.random.default_rng(zlib.crc32(search.method.encode()))
    columns = [dimension.column for dimension in search.space.dimensions]
    places = generator.random((count, len(columns)))
    noise = generator.normal(0, 0.4, (count, 2))
    best = generator.uniform(0.3, 0.7, len(columns))
    final = level_of(search.method) - 8 * ((places - best) ** 2).sum(axis=1) + noise[:, 0]
    values = np.stack([0.6 * final + noise[:, 1], final], axis=1).round(4)
    for index in range(count // PLAN.bracket):
        judged = {n: values[n, 0] for n in PLAN.numbers(index) if not PLAN.is_anchor(n)}
        going_on = PLAN.promoted(index, 0, judged)
        for number in PLAN.numbers(index):
            units = dict(zip(columns, places[number], strict=True))
            params = search.space.point(units) if number else search.space.published
            is_last = PLAN.is_anchor(number) or number in going_on
            yield _rows(search, number, params, values[number].tolist(), is_last=is_last)


def _rows(
    search: Search, number: int, params: dict[str, float], values: list[float], *, is_last: bool
) -> Rows:
    diverged = is_last and number % 40 == 29
    reached = 2 if is_last and not diverged else 1
    step = DIVERGED_AT if diverged else PLAN.rung_steps[reached - 1]
    key = (search.study_id, number)
    ended = {"state": "COMPLETE" if reached == 2 else "PRUNED", "diverged": diverged, "step": step}
    ended |= {"rung": int(is_last), "score": None if diverged else values[reached - 1]}
    row = trial_row(key, PLAN.bracket, params, finished_at="now", **ended)
    rungs, parts = [], []
    for i, segment_id in enumerate(search.segments[:reached]):
        evaluated = {"index": i, "step": PLAN.rung_steps[i], "weights_hash": "w"}
        rungs.append(rung_row(key, segment_id, [values[i], None, values[i]], **evaluated))
        start, stop = (0, *PLAN.rung_steps)[i : i + 2]
        parts.append(member_row(key, segment_id, start, stop, weights_hash="w"))
    if diverged:
        lost = {"ending": "diverged", "weights_hash": None}
        parts.append(member_row(key, search.segments[1], FIRST, step, **lost))
    return _as_text(row, "params"), [_as_text(each, "class_iou") for each in rungs], parts


def _as_text(row: Row, column: str) -> Row:
    """Return a row for COPY, one column in JSON."""
    return {**row, column: json.dumps(row[column])}
