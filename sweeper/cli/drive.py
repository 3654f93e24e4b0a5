"""Driving a sweep from a terminal: set-up, teacher, segments, live view, and a clean end."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from sqlalchemy import Engine

from sweeper.cli.hints import baseline_command, unequal_targets
from sweeper.cli.launch import Options
from sweeper.cli.live import live_view
from sweeper.config import quieten_ray
from sweeper.declaring import BASELINE, declare
from sweeper.launching import check, code_here, declaration
from sweeper.limits import End, Limits
from sweeper.progress import read_progress
from sweeper.protocol import plan_of
from sweeper.provenance import this_launch
from sweeper.readiness import Outfitter
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.inline import InlineRunner
from sweeper.runners.runner import Announce, Runner
from sweeper.runners.staff import Premises
from sweeper.steering import read_wishes
from sweeper.store.database import open_store
from sweeper.store.lease import Holder, Lease, acquire
from sweeper.store.logfiles import last_fault
from sweeper.store.projection import Projection
from sweeper.store.retry import AWAY, with_patience
from sweeper.sweep import Assignment, Sweep, Workplace
from sweeper.sweep_log import SweepLog
from sweeper.teachers import School
from trainers.cohort import Trainer
from trainers.data import Dataset
from trainers.devices import choose_device
from trainers.segment import Outcome, Runs
from trainers.terminal import stop_on_signal

# Exit codes: some method is halted or parked; paused, cancelled or at a limit; as after a SIGINT.
BLOCKED, ENDED, INTERRUPTED = 1, 3, 130
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
    if row.paused_by is not None:
        _say(f"sweep {row.name} was paused by {row.paused_by}; it goes on")
    for line in unequal_targets(store.engine, row.id):
        _say(line)
    with stop_on_signal(_say) as stop:
        turn = _take_turn(store.engine, row, stop, options.limits)
        end = turn if isinstance(turn, End) else None
        if isinstance(turn, Lease):
            projection = Projection(store.engine, store.storage)
            sweep = Sweep(store.engine, row, turn, workplace, projection)
            try:
                end = _drive(sweep, options, trainer, dataset, stop)
            finally:
                _release(turn, store.engine)
    return _farewell(store.engine, row, end, request.methods, is_stopped=stop.is_set())


def _say(line: str) -> None:
    click.echo(line, err=True)


def _drive(
    sweep: Sweep, options: Options, trainer: Trainer, dataset: Dataset, stop: threading.Event
) -> End | None:
    """Run under a lease; return why it ended, unless by itself or by a signal."""
    # A cluster may take longer to open than a lease lives.
    with Heartbeat(sweep, stop, limits=options.limits, say=_say) as heartbeat:
        with_patience(heartbeat.look)
        if not stop.is_set():
            with _runner(options, trainer, dataset, sweep.workplace.device) as runner:
                _run(sweep, runner, heartbeat, dataset)
    return heartbeat.end


def _release(lease: Lease, engine: Engine) -> None:
    with contextlib.suppress(*AWAY):  # it runs out by itself where the database is away
        lease.release(engine)


def _inputs(options: Options, data_note: str) -> dict[str, str | None]:
    root, file = options.request.data_root, options.task_file
    return {
        "data_root": str(root.absolute()) if root else None,
        "task_file": str(file.absolute()) if file else None,
        "data_note": data_note,
        "checkpoints": str(options.checkpoints),
    }


def _take_turn(
    engine: Engine, row: Any, stop: threading.Event, limits: Limits
) -> Lease | End | None:
    """Return the lease; what ends the waiting for it; None when all is done, or on a stop."""
    driver = acquire(engine, row.id)
    if isinstance(driver, Lease):
        return driver
    _say(f"{driver.name} drives sweep {row.name} and will run this as well; watching")
    turn: Lease | Holder | End = driver
    plan = plan_of(row.protocol)
    with live_view(lambda: read_progress(engine, row.id, plan), f"sweep {row.name}"):
        while isinstance(turn, Holder) and not stop.wait(WATCH_S):
            if read_progress(engine, row.id, plan).is_done:
                return None
            turn = read_wishes(engine, row.id, limits).end or acquire(engine, row.id)
    return None if isinstance(turn, Holder) else turn


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


def _run(sweep: Sweep, runner: Runner, heartbeat: Heartbeat, dataset: Dataset) -> None:
    """Recover what an earlier driver left, then run to the end or to a stop."""
    title = f"sweep {sweep.name}, task {sweep.task.name}, {runner.where}"
    lost = with_patience(sweep.recover)
    if lost:
        _say(f"{lost} unfinished segments of an earlier run are repeated")
    with (
        SweepLog(sweep, runner.where, heartbeat.stop),
        live_view(lambda: read_progress(sweep.engine, sweep.id, sweep.plan), title) as say,
    ):

        def make_ready(trainer: Runs) -> None:
            _make_ready(sweep, trainer, dataset, heartbeat.stop, say)

        runner.run(sweep, heartbeat, make_ready, _reporter(say))


def _reporter(say: Callable[[str], None]) -> Announce:
    def report(assignment: Assignment, outcome: Outcome) -> None:
        for member in outcome.members:
            if member.reason:
                why = member.reason.splitlines()[0]
                say(f"{member.key} {member.ending}: {why}; log: {assignment.segment.log}")
        for note in outcome.notes:
            say(note)

    return report


def _make_ready(
    sweep: Sweep,
    trainer: Runs,
    dataset: Dataset,
    stop: threading.Event,
    say: Callable[[str], None],
) -> None:
    school = School(
        engine=sweep.engine,
        task=sweep.task,
        fingerprint=dataset.fingerprint,
        workplace=sweep.workplace,
        stop=stop,
        announce=say,
        deterministic=sweep.protocol["numerics"]["deterministic"],
    )
    Outfitter(sweep=sweep, school=school, dataset=dataset).make_ready(trainer)


def _farewell(
    engine: Engine, row: Any, end: End | None, asked: Sequence[str], *, is_stopped: bool
) -> int:
    """Say how it ended and what goes on; return the exit code. `asked`: the launch's methods."""
    progress = read_progress(engine, row.id, plan_of(row.protocol))
    for study in progress.studies:
        if study.state != "active":
            with engine.connect() as connection:
                log = last_fault(connection, row.id, study.method, study.repeat)
            where = f"; log: {log}" if log else ""
            _say(f"{study.name} is {study.state}: {study.reason}{where}")
    if not progress.is_done and end is not None:
        _say(f"{end.why}; everything is saved: {end.then}")
        return ENDED
    if not progress.is_done and is_stopped:
        _say("stopped; everything is saved: the same command goes on")
        return INTERRUPTED
    if all(study.method != BASELINE for study in progress.studies):
        _say(f"no baseline to compare with; add it: {baseline_command(sys.argv)}")
    states = {study.state for study in progress.studies}
    is_cancelled = any(s.state == "cancelled" and s.method in asked for s in progress.studies)
    how = "ended by a cancellation" if is_cancelled else "done"
    _say(f"{how}: sweeper query leaderboard --sweep {row.name}")
    return BLOCKED if states & {"halted", "parked"} else ENDED if is_cancelled else 0
