"""Driving a sweep with a fake trainer, and reading what the log then says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from sweeper.core.provenance import Launch
from sweeper.optuna_export.projection import Projection
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.inline import run_inline
from sweeper.scheduler.declaration import Declaration, MethodPlan, declare
from sweeper.scheduler.driver_config import DriverConfig
from sweeper.scheduler.launch_request import Request, declaration
from sweeper.scheduler.lease import Lease, acquire
from sweeper.scheduler.state_machine import Sweep
from sweeper.search.space import build_space
from sweeper.store.database import Store
from tests.sweeper.fakes import FakeTrainer
from trainers.tasks import load_task
from trainers.training.segment import Ending, Runs

METHODS = ("baseline", "kd")
WHO = Launch(who="somebody@somewhere", command="sweeper launch", provenance={})
UNDISTURBED_STEPS = 8 * 80 + 2 * (8 * 26 + 3 * 54)  # shapes, budget 24


def declaration_of(budget: int = 24, **changes: Any) -> Declaration:
    methods = changes.pop("methods", METHODS)
    task = load_task("shapes")
    request = Request(task=task, sweep="s", methods=methods, budget=budget, **changes)
    plans = [
        MethodPlan(
            space=build_space(task, m),
            code_hash=f"code of {m}",
            last_switch=0.0,
            needs_teacher=m != "baseline",
        )
        for m in methods
    ]
    return declaration(request, plans, fingerprint="data")


def open_sweep(
    store: Store, checkpoints: Path, given: Declaration | None = None, **place: Any
) -> Sweep:
    row = declare(store.engine, given or declaration_of(), WHO)
    lease = acquire(store.engine, row.id)
    assert isinstance(lease, Lease)
    driver_config = DriverConfig(
        **{"checkpoints": checkpoints, "teacher": Path("teacher.pt")} | place
    )
    sweep = Sweep(store.engine, row, lease, driver_config, Projection(store.engine, store.storage))
    sweep.recover()
    for study in sweep.missing_prerequisites().calibrations:
        sweep.calibrate(study.id, {"equal": 1.0})
    return sweep


def no_teacher(trainer: Runs) -> None:
    raise AssertionError("a teacher is there")


def run_sweep(sweep: Sweep, trainer: FakeTrainer | None = None) -> bool:
    trainer = trainer or FakeTrainer()
    try:
        return run_inline(sweep, trainer, Heartbeat(sweep, threading.Event()), no_teacher)
    finally:
        sweep.lease.release(sweep.engine)


def rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


TRIALS = """SELECT y.method, t.number, t.params, t.state, t.score, t.origin FROM sweeper.trial t
            JOIN sweeper.study y ON y.id = t.study_id ORDER BY y.method, t.number"""
RUNGS = """SELECT y.method, r.number, r.step, r.score, r.weights_hash FROM sweeper.rung r
           JOIN sweeper.study y ON y.id = r.study_id ORDER BY y.method, r.number, r.step"""
LEDGER = "SELECT method, planned_steps, trained_steps, wasted_steps FROM sweeper.ledger ORDER BY 1"


def results(engine: Engine) -> tuple[Any, Any]:
    return rows(engine, TRIALS), rows(engine, RUNGS)


def failing(ending: Ending, *keys: str) -> Callable[[Any], Ending | None]:
    return lambda member: ending if not keys or member.key in keys else None
