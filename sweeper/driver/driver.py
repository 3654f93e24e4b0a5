"""Driving a sweep from a terminal: set-up, teacher, segments, live view, and a clean end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

from sweeper.core.config import quieten_ray
from sweeper.core.launch_limits import End, Limits
from sweeper.driver.live_view import live_view
from sweeper.driver.options import TrainingOptions
from sweeper.optuna_export.projection import Projection
from sweeper.postgres.retry import AWAY, retry_on_disconnect
from sweeper.prerequisites.prerequisite_trainer import PrerequisiteTrainer
from sweeper.prerequisites.teacher import TeacherContext
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.inline import InlineRunner
from sweeper.runners.runner import OnOutcome, Runner
from sweeper.runners.worker_options import WorkerRequirements
from sweeper.scheduler.driver_config import DriverConfig
from sweeper.scheduler.launch_request import code_here
from sweeper.scheduler.lease import Holder, Lease, acquire
from sweeper.scheduler.pause_and_cancel import read_requests
from sweeper.scheduler.progress import SweepProgress, read_progress
from sweeper.scheduler.state_machine import Assignment, Sweep
from sweeper.search.protocol import plan_of
from sweeper.store.database import Store
from sweeper.store.log_files import last_fault
from trainers.data import Dataset
from trainers.runtime.devices import choose_device
from trainers.runtime.terminal import stop_on_signal
from trainers.training.cohort import Trainer
from trainers.training.segment import Outcome, Runs

# Exit codes: a method has failed or is blocked; paused, cancelled or at a limit; after a SIGINT.
BLOCKED, ENDED, INTERRUPTED = 1, 3, 130
WATCH_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Driver:
    """A declared sweep, and with what it is run."""

    store: Store
    row: Any  # of the table `sweep`
    options: TrainingOptions
    trainer: Trainer
    dataset: Dataset
    root: Path | None  # of the data
    asked: Sequence[str]  # methods that this command is about
    finish: Callable[[SweepProgress], Sequence[str]]  # what is said of a sweep that is done

    @property
    def driver_config(self) -> DriverConfig:
        """Where this driver trains."""
        options = self.options
        here = "cpu" if options.worker_options else choose_device(options.device)
        return DriverConfig(
            checkpoints=options.checkpoints,
            data_root=self.root,
            device=here,  # workers have their own
            cohort=options.cohort,
            code_of=code_here,
        )

    def run(self) -> int:
        """Run it to its end, a limit or a signal; return the exit code."""
        engine, row, limits = self.store.engine, self.row, self.options.limits
        with stop_on_signal(print_status) as stop:
            turn = _take_turn(engine, row, stop, limits)
            end = turn if isinstance(turn, End) else None
            if isinstance(turn, Lease):
                projection = Projection(engine, self.store.storage)
                sweep = Sweep(engine, row, turn, self.driver_config, projection)
                try:
                    end = self._under_lease(sweep, stop)
                finally:
                    _release(turn, engine)
        return self._farewell(end, is_stopped=stop.is_set())

    def _under_lease(self, sweep: Sweep, stop: threading.Event) -> End | None:
        """Run it; return why it ended, unless by itself or by a signal."""
        # A cluster may take longer to open than a lease lives.
        with Heartbeat(
            sweep, stop, limits=self.options.limits, print_status=print_status
        ) as heartbeat:
            retry_on_disconnect(heartbeat.read_requests)
            progress = retry_on_disconnect(
                lambda: read_progress(sweep.engine, sweep.id, sweep.plan)
            )
            if progress.is_done:  # what an earlier driver left is removed all the same
                retry_on_disconnect(sweep.recover)
            elif not stop.is_set():
                with self._runner(sweep) as runner:
                    _run(sweep, runner, heartbeat, self.dataset)
        return heartbeat.end

    @contextmanager
    def _runner(self, sweep: Sweep) -> Iterator[Runner]:
        """Yield what runs segments: this process, or workers on Ray."""
        worker_options = self.options.worker_options
        if worker_options is None:
            yield InlineRunner(self.trainer, sweep.driver_config.device)
            return
        quieten_ray()
        if worker_options.kind == "tune":
            from sweeper.runners.tune_pool import tune_runner as open_runner  # loads ray
        else:
            from sweeper.runners.ray_pool import ray_runner as open_runner  # loads ray

        requirements = WorkerRequirements(
            data=sweep.task.data,
            root=self.root,
            fingerprint=self.dataset.fingerprint,
            threads=sweep.task.threads,
            checkpoints=self.options.checkpoints,
        )
        with open_runner(worker_options, requirements) as runner:
            yield runner

    def _farewell(self, end: End | None, *, is_stopped: bool) -> int:
        """Say how it ended and what goes on; return the exit code."""
        engine, row = self.store.engine, self.row
        progress = read_progress(engine, row.id, plan_of(row.protocol))
        for study in progress.studies:
            if study.state != "active":
                with engine.connect() as connection:
                    log = last_fault(connection, row.id, study.method, study.repeat)
                where = f"; log: {log}" if log else ""
                print_status(f"{study.name} {study.state}: {study.reason}{where}")
        if not progress.is_done and end is not None:
            print_status(f"{end.why}; everything is saved: {end.then}")
            return ENDED
        if not progress.is_done and is_stopped:
            print_status("stopped; everything is saved: the same command goes on")
            return INTERRUPTED
        *lines, last = self.finish(progress)
        for line in lines:
            print_status(line)
        states = {study.state for study in progress.studies}
        is_cancelled = any(
            s.state == "cancelled" and s.method in self.asked for s in progress.studies
        )
        how = "ended by a cancellation" if is_cancelled else "done"
        print_status(f"{how}: {last}")
        return BLOCKED if states & {"failed", "blocked"} else ENDED if is_cancelled else 0


def print_status(line: str) -> None:
    """Print a line for people, beside what a program may read."""
    click.echo(line, err=True)


def print_warnings(dataset: Dataset) -> None:
    """Print what looks wrong about the data, a line each; workers, which read it too, do not."""
    for warning in dataset.warnings:
        print_status(f"warning: {warning}")


def _release(lease: Lease, engine: Engine) -> None:
    with contextlib.suppress(*AWAY):  # it runs out by itself where the database is away
        lease.release(engine)


def _take_turn(
    engine: Engine, row: Any, stop: threading.Event, limits: Limits
) -> Lease | End | None:
    """Return the lease; what ends the waiting for it; None when all is done, or on a stop."""
    driver = acquire(engine, row.id)
    if isinstance(driver, Lease):
        return driver
    print_status(f"{driver.name} drives sweep {row.name} and will run this as well; watching")
    turn: Lease | Holder | End = driver
    plan = plan_of(row.protocol)
    with live_view(lambda: read_progress(engine, row.id, plan), f"sweep {row.name}"):
        while isinstance(turn, Holder) and not stop.wait(WATCH_S):
            if read_progress(engine, row.id, plan).is_done:
                return None
            turn = read_requests(engine, row.id, limits).end or acquire(engine, row.id)
    return None if isinstance(turn, Holder) else turn


def _run(sweep: Sweep, runner: Runner, heartbeat: Heartbeat, dataset: Dataset) -> None:
    """Recover what an earlier driver left, then run to the end or to a stop."""
    title = f"sweep {sweep.name}, task {sweep.task.name}, {runner.where}"
    lost = retry_on_disconnect(sweep.recover)
    if lost:
        print_status(f"{lost} unfinished segments of an earlier run are repeated")
    with (
        sweep.open_log(runner.where, heartbeat.stop),
        live_view(lambda: read_progress(sweep.engine, sweep.id, sweep.plan), title) as print_line,
    ):

        def train_prerequisites(trainer: Runs) -> None:
            _train_prerequisites(sweep, trainer, dataset, heartbeat.stop, print_line)

        runner.run(sweep, heartbeat, train_prerequisites, _reporter(print_line))


def _reporter(print_status: Callable[[str], None]) -> OnOutcome:
    def report(assignment: Assignment, outcome: Outcome) -> None:
        for member in outcome.members:
            if member.reason:
                why = member.reason.splitlines()[0]
                then = "; what is damaged is made again" if member.damaged else ""
                print_status(
                    f"{member.key} {member.ending}: {why}{then}; log: {assignment.segment.log}"
                )
        for note in outcome.notes:
            print_status(note)

    return report


def _train_prerequisites(
    sweep: Sweep,
    trainer: Runs,
    dataset: Dataset,
    stop: threading.Event,
    print_status: Callable[[str], None],
) -> None:
    context = TeacherContext(
        engine=sweep.engine,
        task=sweep.task,
        fingerprint=dataset.fingerprint,
        driver_config=sweep.driver_config,
        stop=stop,
        announce=print_status,
        deterministic=sweep.protocol["numerics"]["deterministic"],
    )
    PrerequisiteTrainer(sweep=sweep, context=context, dataset=dataset).train_prerequisites(trainer)
