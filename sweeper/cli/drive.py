"""Driving a sweep from a terminal: set-up, teacher, segments, live view, and a clean end."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click
from sqlalchemy import Engine

from sweeper.cli.hints import baseline_command, unequal_targets
from sweeper.cli.launch import Options
from sweeper.cli.live import live_view
from sweeper.config import quieten_ray
from sweeper.declaring import BASELINE, declare
from sweeper.launching import check, code_here, declaration
from sweeper.progress import read_progress
from sweeper.protocol import plan_of
from sweeper.provenance import this_launch
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.inline import InlineRunner
from sweeper.runners.runner import Runner
from sweeper.runners.staff import Premises
from sweeper.store.database import open_store
from sweeper.store.lease import Holder, Lease, acquire
from sweeper.store.projection import Projection
from sweeper.store.retry import AWAY, with_patience
from sweeper.sweep import Sweep, Workplace
from sweeper.teachers import Interrupted, School, ensure_teacher, freeze_teacher
from trainers.cohort import Trainer
from trainers.data import Dataset
from trainers.devices import choose_device
from trainers.segment import Outcome, Runs
from trainers.terminal import stop_on_signal

BLOCKED, INTERRUPTED = 1, 130  # exit codes: some method is halted or parked; as after a SIGINT
WATCH_S = 2.0


def drive(options: Options) -> int:
    """Do what the options ask for; return the exit code."""
    request = options.request
    plans = check(request)
    store = open_store(options.database, "sweeper launch")
    trainer = Trainer()
    dataset = trainer.dataset(request.task.data, request.data_root)
    row = declare(
        store.engine,
        declaration(request, plans, dataset.fingerprint),
        this_launch(sys.argv[1:], **_inputs(options, dataset.note)),
    )
    workplace = Workplace(
        checkpoints=options.checkpoints,
        data_root=request.data_root,
        device="cpu" if options.staff else choose_device(options.device),  # workers have their own
        cohort=options.cohort,
        code_of=code_here,
    )
    for line in unequal_targets(store.engine, row.id):
        click.echo(line, err=True)
    with stop_on_signal(lambda line: click.echo(line, err=True)) as stop:
        lease = _take_turn(store.engine, row, stop)
        if lease is not None:
            projection = Projection(store.engine, store.storage)
            sweep = Sweep(store.engine, row, lease, workplace, projection)
            try:
                with _runner(options, trainer, dataset, workplace.device) as runner:
                    _run(sweep, runner, dataset.fingerprint, stop)
            finally:
                _release(lease, store.engine)
    return _farewell(store.engine, row, stop)


def _release(lease: Lease, engine: Engine) -> None:
    with contextlib.suppress(*AWAY):  # it runs out by itself where the database is away
        lease.release(engine)


def _inputs(options: Options, data_note: str) -> dict[str, str | None]:
    root, file = options.request.data_root, options.task_file
    return {
        "data_root": str(root.absolute()) if root else None,
        "task_file": str(file.absolute()) if file else None,
        "data_note": data_note,
    }


def _take_turn(engine: Engine, row: Any, stop: threading.Event) -> Lease | None:
    """Return the lease; None when another driver has done everything, or on a stop."""
    lease = acquire(engine, row.id)
    if isinstance(lease, Lease):
        return lease
    click.echo(
        f"{lease.name} drives sweep {row.name} and will run this as well; watching", err=True
    )
    plan = plan_of(row.protocol)
    with live_view(lambda: read_progress(engine, row.id, plan), f"sweep {row.name}"):
        while isinstance(lease, Holder) and not stop.wait(WATCH_S):
            if read_progress(engine, row.id, plan).is_done:
                return None
            lease = acquire(engine, row.id)
    return lease if isinstance(lease, Lease) else None


@contextmanager
def _runner(options: Options, trainer: Trainer, dataset: Dataset, where: str) -> Iterator[Runner]:
    """Yield what runs segments: this process, on the device `where`, or workers on Ray."""
    if options.staff is None:
        yield InlineRunner(trainer, where)
        return
    quieten_ray()
    if options.staff.kind == "tune":
        from sweeper.runners.tune_crew import tune_runner as open_runner
    else:
        from sweeper.runners.ray import ray_runner as open_runner

    task = options.request.task
    premises = Premises(
        data=task.data,
        root=options.request.data_root,
        fingerprint=dataset.fingerprint,
        threads=task.threads,
        checkpoints=options.checkpoints,
    )
    with open_runner(options.staff, premises) as runner:
        yield runner


def _run(sweep: Sweep, runner: Runner, fingerprint: str, stop: threading.Event) -> None:
    """Recover what an earlier driver left, then run to the end or to a stop."""
    title = f"sweep {sweep.name}, task {sweep.task.name}, {runner.where}"
    with Heartbeat(sweep, stop) as heartbeat:
        lost = with_patience(sweep.recover)
        if lost:
            click.echo(f"{lost} unfinished segments of an earlier run are repeated", err=True)
        with live_view(lambda: read_progress(sweep.engine, sweep.id, sweep.plan), title) as say:

            def make_teacher(trainer: Runs) -> None:
                _make_teacher(sweep, trainer, fingerprint, stop, say)

            runner.run(sweep, heartbeat, make_teacher, _reporter(say))


def _reporter(say: Callable[[str], None]) -> Callable[[Outcome], None]:
    def report(outcome: Outcome) -> None:
        for member in outcome.members:
            if member.reason:
                say(f"{member.key} {member.ending}: {member.reason.splitlines()[0]}")
        for note in outcome.notes:
            say(note)

    return report


def _make_teacher(
    sweep: Sweep,
    trainer: Runs,
    fingerprint: str,
    stop: threading.Event,
    say: Callable[[str], None],
) -> None:
    school = School(
        engine=sweep.engine,
        task=sweep.task,
        fingerprint=fingerprint,
        workplace=sweep.workplace,
        stop=stop,
        announce=say,
        deterministic=sweep.protocol["numerics"]["deterministic"],
    )
    try:
        teacher = ensure_teacher(school, trainer)
    except Interrupted as interruption:
        say(str(interruption))
        return
    freeze_teacher(sweep.engine, sweep.id, teacher)
    say(f"teacher: {teacher.miou:.2f} mIoU on the selection split ({teacher.path})")
    sweep.workplace = replace(sweep.workplace, teacher=teacher.path)


def _farewell(engine: Engine, row: Any, stop: threading.Event) -> int:
    progress = read_progress(engine, row.id, plan_of(row.protocol))
    blocked = [study for study in progress.studies if study.state != "active"]
    for study in blocked:
        click.echo(f"{study.name} is {study.state}: {study.reason}", err=True)
    if stop.is_set() and not progress.is_done:
        click.echo("stopped; everything is saved: the same command goes on", err=True)
        return INTERRUPTED
    if all(study.method != BASELINE for study in progress.studies):
        click.echo(f"no baseline to compare with; add it: {baseline_command(sys.argv)}", err=True)
    click.echo(f"done: sweeper query leaderboard --sweep {row.name}", err=True)
    return BLOCKED if blocked else 0
