"""A sweep that really trains, for seconds, and what its log then says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweeper.optuna_export.projection import Projection
from sweeper.prerequisites.prerequisite_trainer import PrerequisiteTrainer
from sweeper.prerequisites.teacher import TeacherContext
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.runner import Runner
from sweeper.scheduler.declaration import MethodPlan, declare
from sweeper.scheduler.driver_config import DriverConfig
from sweeper.scheduler.launch_request import Request, check, declaration
from sweeper.scheduler.lease import Lease, acquire
from sweeper.scheduler.state_machine import Sweep
from sweeper.store.database import Store
from tests.sweeper.driving import LEDGER, RUNGS, TRIALS, WHO, rows
from trainers.tasks import load_task
from trainers.training.cohort import Trainer
from trainers.training.segment import Outcome, Runs

TASK = load_task(Path(__file__).parents[1] / "tasks" / "tiny.toml")
REQUEST = Request(task=TASK, sweep="s", methods=("baseline", "kd"), budget=8)
DATASET = Trainer().dataset(TASK.data, None)
FINGERPRINT = DATASET.fingerprint
COUNTS = "SELECT method, planned, undecided FROM sweeper.progress ORDER BY method"
IN_FLIGHT = "SELECT count(*) FROM sweeper.segment WHERE state = 'in flight'"


def open_tiny(
    store: Store,
    folder: Path,
    plans: list[MethodPlan] | None = None,
    request: Request = REQUEST,
) -> Sweep:
    row = declare(store.engine, declaration(request, plans or check(request), FINGERPRINT), WHO)
    lease = acquire(store.engine, row.id)
    assert isinstance(lease, Lease)
    place = DriverConfig(checkpoints=folder, cohort=3)
    sweep = Sweep(store.engine, row, lease, place, Projection(store.engine, store.storage))
    sweep.recover()
    return sweep


def ignore(outcome: Outcome, stop: threading.Event) -> None:
    """Go on."""


def prerequisite_trainer(
    sweep: Sweep, stop: threading.Event, announce: Callable[[str], None] = str
) -> PrerequisiteTrainer:
    """Return what makes a sweep ready."""
    context = TeacherContext(
        engine=sweep.engine,
        task=TASK,
        fingerprint=FINGERPRINT,
        driver_config=sweep.driver_config,
        stop=stop,
        announce=announce,
    )
    return PrerequisiteTrainer(sweep=sweep, context=context, dataset=DATASET)


def run_tiny(
    sweep: Sweep,
    runner: Runner,
    announce: Callable[[Outcome, threading.Event], None] = ignore,
) -> bool:
    """Run a sweep, its teacher included; `announce` may set the stop."""
    stop = threading.Event()

    def train_prerequisites(trainer: Runs) -> None:
        prerequisite_trainer(sweep, stop).train_prerequisites(trainer)

    with Heartbeat(sweep, stop, interval_s=0.05) as heartbeat:
        try:
            return runner.run(sweep, heartbeat, train_prerequisites, lambda _, o: announce(o, stop))
        finally:
            sweep.lease.release(sweep.engine)


def log_of(store: Store) -> list[list[tuple[Any, ...]]]:
    """Return what every runner must agree on: trials, rungs with weights' hashes."""
    return [rows(store.engine, query) for query in (TRIALS, RUNGS)]


def assert_complete(store: Store, expected: list[list[tuple[Any, ...]]]) -> None:
    """Check that the budget is exact, nothing is left, and the results are the expected ones."""
    counts = rows(store.engine, COUNTS)
    assert counts == [(method, REQUEST.budget, 0) for method in REQUEST.methods]
    assert rows(store.engine, IN_FLIGHT) == [(0,)]
    assert all(planned == trained for _, planned, trained, _ in rows(store.engine, LEDGER))
    assert log_of(store) == expected
