"""A sweep whose segments train nothing, with a clock on each of its parts.

The state machine, the log, the projection, the heartbeat, the sweep's log and the Ray workers are
the product's own; the trainer alone is a fake, which reads and writes a small checkpoint a member.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweeper.core.config import quieten_ray
from sweeper.core.provenance import Launch
from sweeper.optuna_export.projection import Projection
from sweeper.runners.dispatch import WorkerPool
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.inline import InlineRunner
from sweeper.runners.runner import OnOutcome, Runner
from sweeper.runners.worker_options import WorkerOptions, WorkerRequirements
from sweeper.scheduler.declaration import declare
from sweeper.scheduler.driver_config import DriverConfig
from sweeper.scheduler.launch_request import Request, check, code_here, declaration
from sweeper.scheduler.lease import Lease, acquire
from sweeper.scheduler.state_machine import Assignment, Idle, Sweep
from sweeper.store.database import Store
from tests.sweeper import fakes
from tests.sweeper.fakes import FakeTrainer
from trainers.tasks import Task, load_task
from trainers.training.cohort import Trainer
from trainers.training.segment import Control, Outcome, Runs, Segment
from trainers.training.worker import Worker

quieten_ray()

import ray  # noqa: E402 - it reads what was set

from sweeper.runners.dispatch import PoolRunner  # noqa: E402
from sweeper.runners.ray_cluster import open_cluster  # noqa: E402
from sweeper.runners.ray_pool import RayWorkerPool  # noqa: E402

for module in (sys.modules[__name__], fakes):  # workers have no tests
    ray.cloudpickle.register_pickle_by_value(module)

PARTS = ("next_segment", "record", "projection", "Ray", "rest")
WHO = Launch(who="benchmark", command="benchmark", provenance={})


class NoopTrainer(FakeTrainer):
    """Answers at once and keeps nothing."""

    def run(self, segment: Segment, control: Control) -> Outcome:
        self.segments.clear()
        return super().run(segment, control)


class NoopWorker(Worker):
    """Says what a worker says, and trains nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._fake = NoopTrainer()

    def run(self, job: int, segment: Segment) -> Outcome:  # noqa: ARG002 - as a worker's
        return self._fake.run(segment, Control())


class Clock:
    """Seconds by part; a part within another one counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.first = self.last = 0.0  # when the first segment was asked for, the last recorded
        self._at_last = self.seconds
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._turn()
        self.calls[name] += 1
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def split(self) -> dict[str, float]:
        """Return the seconds from the first segment to the last by part; they add up."""
        parts = {name: self._at_last[name] for name in PARTS[:-1]}
        return parts | {"rest": self.last - self.first - sum(parts.values())}

    def note_end(self) -> None:
        """Note that a segment was recorded: it may have been the last."""
        self.last, self._at_last = time.perf_counter(), self.seconds.copy()

    def _turn(self) -> None:
        now = time.perf_counter()
        if self._open and self.first:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now


class TimedSweep(Sweep):
    """Notes how long its two verbs take."""

    clock: Clock

    def next_segment(self, slots: int = 1) -> Assignment | Idle:
        self.clock.first = self.clock.first or time.perf_counter()
        with self.clock.part("next_segment"):
            return super().next_segment(slots)

    def record(self, assignment: Assignment, outcome: Outcome) -> None:
        with self.clock.part("record"):
            super().record(assignment, outcome)
        self.clock.note_end()


class TimedProjection(Projection):
    """Notes how long it takes."""

    clock: Clock

    def update(self, sweep_id: int) -> int:
        with self.clock.part("projection"):
            return super().update(sweep_id)


def timed_crew(clock: Clock) -> Callable[..., WorkerPool]:
    """Return a pool's class that notes how long it is asked or waited for."""

    class TimedCrew(RayWorkerPool):
        def start(self, segment: Segment) -> Any:
            with clock.part("Ray"):
                return super().start(segment)

        def poll(self, timeout_s: float) -> Any:
            with clock.part("Ray"):
                return super().poll(timeout_s)

    return TimedCrew


def default_task() -> Task:
    """Return the generated scenes with the plan that tasks have by default: 16 at 3 rungs."""
    task = load_task("shapes")
    return task.model_copy(update={"search": type(task.search)()})


def open_timed(store: Store, request: Request, folder: Path, cohort: int, clock: Clock) -> Sweep:
    """Declare a sweep and take its lease, as a launch does."""
    fingerprint = Trainer().dataset(request.task.data, None).fingerprint
    row = declare(store.engine, declaration(request, check(request), fingerprint), WHO)
    lease = acquire(store.engine, row.id)
    if not isinstance(lease, Lease):
        raise ValueError(f"sweep {row.name} is driven by {lease.name}")
    teacher = folder / "teacher.pt"
    place = DriverConfig(checkpoints=folder, teacher=teacher, cohort=cohort, code_of=code_here)
    projection = TimedProjection(store.engine, store.storage)
    sweep = TimedSweep(store.engine, row, lease, place, projection)
    sweep.clock = projection.clock = clock
    sweep.recover()
    for study in sweep.missing_prerequisites().calibrations:
        sweep.calibrate(study.id, {"equal": 1.0})
    return sweep


@contextmanager
def noop_runner(kind: str, sweep: Sweep, clock: Clock, workers: int) -> Iterator[Runner]:
    """Yield the runner `inline`, or `ray` on a cluster of its own."""
    if kind == "inline":
        yield InlineRunner(NoopTrainer(), "cpu")
        return
    task = sweep.task
    requirements = WorkerRequirements(
        data=task.data,
        root=None,
        fingerprint=Trainer().dataset(task.data, None).fingerprint,
        checkpoints=sweep.driver_config.checkpoints,
        threads=1,
    )
    os.environ.setdefault("PYTHONPATH", str(Path.cwd()))  # where workers find this module
    with open_cluster(WorkerOptions(workers=workers, device="cpu"), requirements) as cluster:
        yield PoolRunner(timed_crew(clock), cluster, requirements, worker=NoopWorker)


def run_timed(sweep: Sweep, runner: Runner, on_outcome: OnOutcome | None = None) -> bool:
    """Run a sweep to its end as a launch does, but for the view on a terminal."""
    stop = threading.Event()

    def no_teacher(trainer: Runs) -> None:
        raise ValueError("a teacher is there")

    try:
        with Heartbeat(sweep, stop) as heartbeat, sweep.open_log(runner.where, stop):
            return runner.run(sweep, heartbeat, no_teacher, on_outcome)
    finally:
        sweep.lease.release(sweep.engine)
