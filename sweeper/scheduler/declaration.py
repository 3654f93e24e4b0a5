"""Stating what a sweep is to have: its protocol, its methods, their budgets.

Any number of launches may declare, also while another process drives: budgets only grow, and what
was frozen at a first launch is compared, never changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from sweeper.core.constants import num_searches
from sweeper.core.errors import ConfigError, PlanError, SweeperError
from sweeper.core.names import search_name, study_name
from sweeper.core.provenance import Launch
from sweeper.scheduler.pause_and_cancel import resume
from sweeper.search.protocol import check_equal, plan_of
from sweeper.search.space import Space
from sweeper.store import log
from sweeper.store.launches import add_launch
from sweeper.store.row_digests import add_digest
from sweeper.store.schema import study, sweep
from trainers.tasks.identity import digest

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class MethodPlan:
    """A method as a sweep freezes it at the method's first launch."""

    space: Space
    code_hash: str
    last_switch: float  # share of the training, over all of the method's space
    needs_teacher: bool = True
    preparation: str | None = None  # the method whose preparation it needs


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What a launch asks for."""

    sweep: str
    seed: int
    protocol: Mapping[str, Any]
    methods: Sequence[MethodPlan]
    budget: int
    repeats: int = 1


def check_name(name: str) -> None:
    """Raise ConfigError unless the name can stand in study names, paths and shells."""
    if not NAME.fullmatch(name):
        rule = "use 1 to 64 of A-Z a-z 0-9 . _ -, neither . nor - at the start"
        raise ConfigError(f"sweep name {name!r}: {rule}")


def declare(engine: Engine, declaration: Declaration, who: Launch) -> Any:
    """Store a declaration and return the sweep's row as it was before; a pause ends with it.

    Raises ProtocolMismatch, field by field, where it differs from what the sweep froze before, and
    SweeperError for a method that was cancelled.
    """
    check_name(declaration.sweep)
    with engine.begin() as connection:
        row = _sweep(connection, declaration)
        if row.paused_by is not None:
            resume(connection, row.id, who.who)
        for method in declaration.methods:
            _check_switch(declaration, method)
            for repeat in range(1, num_searches(method.space.method, declaration.repeats) + 1):
                _study(connection, row, declaration.budget, method, repeat)
        add_launch(connection, row, who)
        log.note(
            connection,
            row.id,
            "launched",
            methods=[method.space.method for method in declaration.methods],
            budget=declaration.budget,
            repeats=declaration.repeats,
        )
    return row


def read_budgets(engine: Engine, sweep_id: int) -> dict[str, int]:
    """Return method, or method@repeat, -> the trials it is to have."""
    query = select(study).where(study.c.sweep_id == sweep_id).order_by(study.c.id)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return {search_name(row.method, row.repeat): row.budget for row in rows}


def _sweep(connection: Connection, declaration: Declaration) -> Any:
    protocol = dict(declaration.protocol)
    added = connection.execute(
        upsert(sweep)
        .values(
            name=declaration.sweep,
            seed=declaration.seed,
            protocol=protocol,
            protocol_hash=digest(protocol),
            folder=f"{declaration.sweep}-{uuid4().hex[:8]}",
        )
        .on_conflict_do_nothing()
    )
    row = connection.execute(
        select(sweep).where(sweep.c.name == declaration.sweep).with_for_update(key_share=True)
    ).one()
    if added.rowcount:
        add_digest(connection, "sweep", row.id)
    check_equal(
        f"sweep {row.name}",
        {"seed": row.seed, **row.protocol},
        {"seed": declaration.seed, **protocol},
    )
    return row


def _study(
    connection: Connection, sweep_row: Any, budget: int, method: MethodPlan, repeat: int
) -> None:
    space = method.space.model_dump(mode="json")
    added = connection.execute(
        upsert(study)
        .values(
            sweep_id=sweep_row.id,
            method=method.space.method,
            repeat=repeat,
            budget=budget,
            space=space,
            space_hash=method.space.hash,
            code_hash=method.code_hash,
            needs_teacher=method.needs_teacher,
            preparation=method.preparation,
            calibration=_calibration(sweep_row.id, method.space.method),
        )
        .on_conflict_do_nothing()
        .returning(study.c.id)
    ).one_or_none()
    if added is not None:
        add_digest(connection, "study", added.id)
        add_digest(connection, "calibration", added.id)
        return
    where = (
        study.c.sweep_id == sweep_row.id,
        study.c.method == method.space.method,
        study.c.repeat == repeat,
    )
    row = connection.execute(select(study).where(*where).with_for_update(key_share=True)).one()
    if row.state == "cancelled":
        raise SweeperError(
            f"{study_name(sweep_row.name, row.method, repeat)} was cancelled {row.reason}; that is "
            f"final: `sweeper delete {sweep_row.name} --method {row.method}` and launch it again, "
            "or use another --sweep NAME"
        )
    check_equal(
        f"method {method.space.method}",
        {"code": row.code_hash, "space": _by_name(row.space)},
        {"code": method.code_hash, "space": _by_name(space)},
    )
    grown: dict[str, Any] = {"budget": func.greatest(study.c.budget, budget)}
    if row.state == "blocked":  # a relaunch goes on with what was blocked
        grown |= {"state": "active", "reason": None}
    connection.execute(update(study).where(*where).values(grown))


def _calibration(sweep_id: int, method: str) -> Any:
    """Return the query for what an earlier search of the method has measured: once is enough."""
    return (
        select(study.c.calibration)
        .where(study.c.sweep_id == sweep_id, study.c.method == method)
        .order_by(study.c.calibration.is_(None), study.c.id)
        .limit(1)
        .scalar_subquery()
    )


def _by_name(space: Mapping[str, Any]) -> dict[str, Any]:
    return {dimension["name"]: dimension for dimension in space["dimensions"]}


def _check_switch(declaration: Declaration, method: MethodPlan) -> None:
    """Refuse a method that is judged before it has come to its own last stage."""
    plan = plan_of(declaration.protocol)
    switch = method.last_switch * plan.rung_steps[-1]
    if switch > plan.rung_steps[0] and plan.keep[-1] < plan.bracket:
        raise PlanError(
            f"method {method.space.method} switches its last stage at step {switch:.0f}, after the "
            f"first rung at step {plan.rung_steps[0]}, where it would be judged as something else; "
            "use a task with a later first rung, or --no-pruning"
        )
