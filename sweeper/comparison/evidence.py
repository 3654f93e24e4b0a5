"""All that a comparison is made from, read from the store once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Row, select, text, tuple_
from sqlalchemy.exc import SQLAlchemyError

from sweeper.comparison import evidence_queries
from sweeper.comparison.evidence_queries import copied_rungs, copied_trials
from sweeper.core.errors import SweeperError
from sweeper.core.names import search_name
from sweeper.search.brackets import BracketPlan
from sweeper.search.protocol import plan_of
from sweeper.store.lookup import find_children, find_sweep, last_inputs
from sweeper.store.row_digests import broken_digests
from sweeper.store.schema import confusion, picture
from trainers.errors import CODE_ERRORS, MethodError
from trainers.method_api.registry import read_space
from trainers.training.confusions import unpack

Confusions = tuple[tuple[int, int], NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A confirmation as it was declared."""

    number: int
    name: str
    sweep_id: int
    declared_at: datetime
    methods: tuple[str, ...]
    budget: int
    seeds: int
    baseline_seeds: int
    delta: float  # mIoU
    paired: bool
    planned_stages: int
    incumbents: Mapping[str, int]  # search -> number of the trial that was chosen
    blocks: tuple[str, ...]  # of each reported image
    classes: tuple[str, ...]
    is_done: bool


@dataclass(frozen=True, kw_only=True)
class EqualCostPart:
    """What was trained beside the first stage, for a comparison at equal cost."""

    name: str
    terms: Mapping[str, Any]  # as they were declared
    is_done: bool


@dataclass(frozen=True, kw_only=True)
class TeacherFacts:
    """What is known of the sweep's teacher."""

    origin: str  # "trained", or the file it was taken from
    recipe: str  # hash of all that determines it
    weights_hash: str
    score: float  # percent, on the selection split


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A sweep, its searches and its confirmations; mIoU in percent, times in UTC."""

    engine: Engine
    sweep_id: int
    name: str
    seed: int
    protocol: Mapping[str, Any]
    created_at: datetime
    note: str  # that must be said with the data
    teacher: TeacherFacts | None
    studies: pd.DataFrame  # one row a search
    trials: pd.DataFrame  # one row a trial
    rungs: pd.DataFrame  # one row a trial and rung it reached
    stages: tuple[Stage, ...]
    confirmations: pd.DataFrame  # one row a confirmation
    equal_cost: Mapping[str, EqualCostPart]  # by name
    equal_cost_runs: pd.DataFrame  # one row a run at equal cost

    @property
    def task(self) -> str:
        """The name of the task."""
        return str(self.protocol["task"]["name"])

    @property
    def plan(self) -> BracketPlan:
        """How the trials of each search were planned and judged."""
        return plan_of(self.protocol)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods in the order of their launch; those confirmed where there is a stage."""
        names = dict.fromkeys(self.studies["method"])
        return tuple(n for n in names if not self.stages or n in self.stages[0].methods)

    @cached_property
    def compared_studies(self) -> pd.DataFrame:
        """The searches of the compared methods."""
        return self.studies[self.studies["method"].isin(self.methods)]

    @cached_property
    def compared_trials(self) -> pd.DataFrame:
        """Their trials, also those beyond the compared budget."""
        return self.trials[self.trials["method"].isin(self.methods)]

    @property
    def budget(self) -> int:
        """How many trials are compared: those of the stage, or whole brackets all searches have."""
        if self.stages:
            return self.stages[0].budget
        decided = self.trials[self.trials["state"] != "RUNNING"].groupby("study_id").size()
        fewest = min(decided.reindex(self.studies["study_id"], fill_value=0), default=0)
        return int(fewest) // self.plan.bracket * self.plan.bracket

    @cached_property
    def launches(self) -> pd.DataFrame:
        """Who launched the sweep, its stages and parts at equal cost, when, with which software."""
        return self._frame(text(evidence_queries.LAUNCHES))

    @cached_property
    def events(self) -> pd.DataFrame:
        """What the state machine decided, in order."""
        return self._frame(text(evidence_queries.EVENTS))

    @cached_property
    def frozen(self) -> pd.DataFrame:
        """Seed, protocol, its hash and the teacher's: of the sweep, then of its stages."""
        return self._frame(text(evidence_queries.FROZEN))

    @cached_property
    def copies(self) -> pd.DataFrame:
        """The searches as the stages have copied them: one row a stage and search."""
        return self._frame(text(evidence_queries.COPIES))

    @cached_property
    def allowances(self) -> pd.DataFrame:
        """The steps that each bracket of each search may train, whatever its values."""
        return self._frame(text(evidence_queries.ALLOWANCES))

    @cached_property
    def parts(self) -> pd.DataFrame:
        """Each trial's and each confirmation's parts in segments: seed, device, how it ended."""
        return self._frame(text(evidence_queries.PARTS))

    @cached_property
    def codes(self) -> pd.DataFrame:
        """How many segments were trained by which code: one row a sweep or stage and hash."""
        return self._frame(text(evidence_queries.CODES))

    @cached_property
    def readings(self) -> pd.DataFrame:
        """When the reported split was read, and for which trial."""
        return self._frame(text(evidence_queries.READINGS))

    @property
    def changed(self) -> list[Row[Any]]:
        """What is not as it was recorded: `row_digests.broken_digests`."""
        with self.engine.connect() as connection:
            return broken_digests(connection, self.sweep_id)

    def found(self, statement: str, **values: Any) -> list[Row[Any]]:
        """Return what a statement of `evidence_queries` finds amiss, a row each."""
        with self.engine.connect() as connection:
            connection.execute(text("SET LOCAL enable_nestloop = off"))  # it knows no sizes here
            return list(connection.execute(text(statement), {"sweep": self.sweep_id, **values}))

    def confusions(self, keys: Sequence[tuple[int, int]]) -> Iterator[Confusions]:
        """Yield the key and matrices (images, K, K) of confirmations, given as (study, number).

        One at a time: of large data sets all would not fit. Raises DataError for damaged bytes.
        """
        for key, content in self.packed_confusions(keys):
            yield key, unpack(content).astype(np.int64)

    def packed_confusions(
        self, keys: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[tuple[int, int], bytes]]:
        """Yield the same as they are stored."""
        columns = tuple_(confusion.c.study_id, confusion.c.number)
        query = select(confusion).where(columns.in_(keys)).order_by(*confusion.primary_key)
        with self.engine.connect() as connection:
            for row in connection.execute(query):
                yield (row.study_id, row.number), bytes(row.content)

    def pictures(self, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """Return the PNG of predictions of each of these confirmations that has one."""
        query = select(picture).where(tuple_(picture.c.study_id, picture.c.number).in_(keys))
        with self.engine.connect() as connection:
            rows = connection.execute(query)
            return {(row.study_id, row.number): row.content for row in rows}

    def _frame(self, query: Any) -> pd.DataFrame:
        with self.engine.connect() as connection:
            return _frame(connection, query, sweep=self.sweep_id)


def read_evidence(engine: Engine, name: str) -> Evidence:
    """Return what the store has of a sweep; SweeperError with the nearest name for no such one."""
    with engine.connect() as connection:
        row = find_sweep(connection, name)
    with readable_records(engine, row.id, name), engine.connect() as connection:
        inputs = last_inputs(connection, row.id)
        stages = find_children(connection, row.id)
        parts = find_children(connection, stages[0].id) if stages else []
        return Evidence(
            engine=engine,
            sweep_id=row.id,
            name=row.name,
            seed=row.seed,
            protocol=row.protocol,
            created_at=row.created_at,
            note=inputs.get("data_note") or "",
            teacher=_teacher(connection, row),
            studies=_studies(connection, row.id),
            trials=copied_trials(connection, row.id),
            rungs=copied_rungs(connection, row.id),
            stages=tuple(_stage(connection, each) for each in stages),
            confirmations=_frame(connection, text(evidence_queries.CONFIRMATIONS), name=row.name),
            equal_cost={each.equal_cost: _equal_cost_part(connection, each) for each in parts},
            equal_cost_runs=_frame(
                connection, text(evidence_queries.EQUAL_COST_RUNS), name=row.name
            ),
        )


@contextmanager
def readable_records(engine: Engine, sweep_id: int, name: str) -> Iterator[None]:
    """Say in one line, as a SweeperError, where records that somebody changed cannot be read.

    What is raised although all records are as they were recorded is a fault of ours, and passes.
    """
    try:
        yield
    except (*CODE_ERRORS, SQLAlchemyError) as error:
        with engine.connect() as connection:
            changed = broken_digests(connection, sweep_id)
        if not changed:
            raise
        first = f"{changed[0].what} {changed[0].key}"
        reason = str(error).partition("\n")[0]
        raise SweeperError(
            f"sweep {name}: {first} and {len(changed) - 1} other records are not as they were "
            f"recorded, and cannot be read ({type(error).__name__}: {reason}); restore a dump of "
            "the database"
        ) from error


def _frame(connection: Connection, query: Any, **values: Any) -> pd.DataFrame:
    result = connection.execute(query, values)
    frame = pd.DataFrame.from_records([tuple(row) for row in result], columns=list(result.keys()))
    for column in frame.columns.intersection(["score"]):
        frame[column] = frame[column].astype(float)
    return frame


def _studies(connection: Connection, sweep_id: int) -> pd.DataFrame:
    frame = _frame(connection, text(evidence_queries.STUDIES), sweep=sweep_id)
    frame["name"] = [
        search_name(*key) for key in zip(frame["method"], frame["repeat"], strict=True)
    ]
    frame["dimensions"] = [len(space["dimensions"]) for space in frame["space"]]
    frame["contains_baseline"] = [_contains_baseline(method) for method in frame["method"]]
    return frame


def _contains_baseline(method: str) -> bool:
    """Return what the method declares; False for one that is not installed here."""
    try:
        return read_space(method).contains_baseline
    except MethodError:
        return False


def _teacher(connection: Connection, sweep: Row[Any]) -> TeacherFacts | None:
    wanted = {"hash": sweep.teacher_hash, "recipe": sweep.protocol["teacher_recipe"]}
    row = connection.execute(text(evidence_queries.TEACHER), wanted).one_or_none()
    if row is None:
        return None
    return TeacherFacts(
        origin=row.origin, recipe=row.recipe, weights_hash=row.weights_hash, score=row.score
    )


def _stage(connection: Connection, row: Row[Any]) -> Stage:
    terms = row.protocol["confirmation"]
    report = terms["report"]
    return Stage(
        number=row.stage,
        name=row.name,
        sweep_id=row.id,
        declared_at=row.created_at,
        methods=tuple(terms["methods"]),
        budget=terms["budget"],
        seeds=terms["seeds"],
        baseline_seeds=terms["baseline_seeds"],
        delta=terms["delta"],
        paired=terms["paired"],
        planned_stages=terms["stages"],
        incumbents=terms["incumbents"],
        blocks=tuple(report["blocks"]),
        classes=tuple(report["classes"]),
        is_done=_is_done(connection, row.id),
    )


def _equal_cost_part(connection: Connection, row: Row[Any]) -> EqualCostPart:
    return EqualCostPart(
        name=row.equal_cost, terms=row.protocol["equal_cost"], is_done=_is_done(connection, row.id)
    )


def _is_done(connection: Connection, sweep_id: int) -> bool:
    return not connection.scalar(text(evidence_queries.UNDECIDED), {"sweep": sweep_id})
