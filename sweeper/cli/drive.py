"""Driving a sweep from a terminal: set-up, teacher, segments, live view, and a clean end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
from sqlalchemy import Engine

from sweeper.cli.launch import Options
from sweeper.cli.live import live_view
from sweeper.declaring import declare
from sweeper.launching import check, declaration, needs_teacher
from sweeper.progress import read_progress
from sweeper.protocol import plan_of
from sweeper.provenance import this_launch
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.inline import run_inline
from sweeper.store import log
from sweeper.store.database import open_store
from sweeper.store.lease import Holder, Lease, acquire
from sweeper.store.projection import Projection
from sweeper.sweep import Sweep, Workplace
from sweeper.teachers import Interrupted, School, ensure_teacher, freeze_teacher
from trainers.cohort import Trainer
from trainers.devices import choose_device
from trainers.segment import Outcome
from trainers.terminal import stop_on_signal

INTERRUPTED = 130  # exit code, as after a SIGINT
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
        device=choose_device(options.device),
        cohort=options.cohort,
    )
    with stop_on_signal(lambda line: click.echo(line, err=True)) as stop:
        lease = _take_turn(store.engine, row, stop)
        if lease is None:
            return INTERRUPTED if stop.is_set() else 0
        sweep = Sweep(store.engine, row, lease, workplace, Projection(store.engine, store.storage))
        try:
            done = _run(sweep, trainer, dataset.fingerprint, stop)
        finally:
            lease.release(store.engine)
    return _farewell(sweep, done)


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


def _run(sweep: Sweep, trainer: Trainer, fingerprint: str, stop: threading.Event) -> bool:
    """Recover, make the teacher if one is needed, run to the end; False when stopped before."""
    with Heartbeat(sweep, stop) as heartbeat:
        lost = sweep.recover()
        if lost:
            click.echo(f"{lost} unfinished segments of an earlier run are repeated", err=True)
        try:
            _prepare_teacher(sweep, trainer, fingerprint, stop)
        except Interrupted as interruption:
            click.echo(str(interruption), err=True)
            return False
        title = f"sweep {sweep.name}, task {sweep.task.name}, {sweep.workplace.device}"
        with live_view(lambda: read_progress(sweep.engine, sweep.id, sweep.plan), title) as say:
            return run_inline(sweep, trainer, heartbeat, _reporter(say))


def _reporter(say: Callable[[str], None]) -> Callable[[Outcome], None]:
    def report(outcome: Outcome) -> None:
        for member in outcome.members:
            if member.reason:
                say(f"{member.key} {member.ending}: {member.reason.splitlines()[0]}")
        for note in outcome.notes:
            say(note)

    return report


def _prepare_teacher(
    sweep: Sweep, trainer: Trainer, fingerprint: str, stop: threading.Event
) -> None:
    with sweep.engine.connect() as connection:
        methods = [study.method for study in log.studies(connection, sweep.id)]
    if not needs_teacher(methods):
        return
    school = School(
        engine=sweep.engine,
        task=sweep.task,
        fingerprint=fingerprint,
        workplace=sweep.workplace,
        stop=stop,
        announce=lambda line: click.echo(line, err=True),
    )
    teacher = ensure_teacher(school, trainer)
    freeze_teacher(sweep.engine, sweep.id, teacher)
    click.echo(
        f"teacher: {teacher.miou:.2f} mIoU on the selection split ({teacher.path})", err=True
    )
    sweep.workplace = replace(sweep.workplace, teacher=teacher.path)


def _farewell(sweep: Sweep, done: bool) -> int:
    progress = read_progress(sweep.engine, sweep.id, sweep.plan)
    for study in progress.studies:
        if study.state != "active":
            click.echo(f"{study.method} is {study.state}: {study.reason}", err=True)
    if not done:
        click.echo("stopped; everything is saved: the same command goes on", err=True)
        return INTERRUPTED
    if all(study.method != "baseline" for study in progress.studies):
        click.echo(
            f"no baseline in this sweep; add it: sweeper launch --sweep {sweep.name} "
            f"--task {sweep.task.name} --method baseline --budget {progress.studies[0].target}",
            err=True,
        )
    click.echo(f"done: sweeper query leaderboard --sweep {sweep.name}", err=True)
    return 0
