"""P3: trials a second where training takes no time: sweeper against Ray Tune with OptunaSearch.

    python -m tests.benchmarks.overhead [--trials 96] [--workers 2] [--rounds 1] [--side NAME ...]

Sides take turns, and the fastest round of each counts. Every side runs in a fresh process against a
fresh database of one embedded PostgreSQL: the same number of trials of one study over the same 4
dimensions, drawn by TPE with the same arguments, each reporting at the same 3 rungs (so nothing is
pruned), on the same number of workers. A rate counts from the first trial that a ready worker could
begin to the end of the last one; the whole process, start-up included, is printed beside it, and so
is what Optuna's tables then hold.

Targets: 15 times the trials a second of Tune's defaults, 2 times those of its best settings. Both
are judged for cohorts of 8, as launches have by default, and for one trial a segment.

What differs: sweeper stores a log of its own besides (plan, segments, members, rungs, events), and
its commits to Optuna's tables, a copy of that log, do not wait for the disk; Tune's do. Tune's best
settings store no last report of a trial. Tune's actors take a trial as a whole, sweeper's workers a
segment from one rung to the next, with a checkpoint of a few bytes at each; with cohorts, 8 trials
at once. sweeper draws 16 trials at a time from a study in memory, Tune one after the other from the
database. Neither shows anything on a terminal, but for Tune's defaults.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
from sqlalchemy import text

from sweeper.postgres.embedded import Embedded
from sweeper.scheduler.launch_request import Request
from sweeper.store.database import Store, connect_engine, open_store
from tests.servers import end, home_in, new_database

ROOT = Path(__file__).parents[2]
SIDES = ("sweeper, cohorts of 8", "sweeper, cohorts of 1", "tune, defaults", "tune, best settings")
TARGETS = {"tune, defaults": 15.0, "tune, best settings": 2.0}
METHOD = "kd"  # 4 dimensions: learning rate, weight decay, multiplier, temperature
STORED = """SELECT (SELECT count(*) FROM trials WHERE state = 'COMPLETE'),
                   (SELECT count(*) FROM trial_intermediate_values)"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one side took."""

    seconds: float  # from the first trial to the last
    split: dict[str, float] = field(default_factory=dict)  # of them
    calls: dict[str, int] = field(default_factory=dict)


def measure(side: str, url: str, trials: int, workers: int) -> Measured:
    """Run one side in this process, in an empty working directory."""
    from tests.benchmarks.sides.ours import default_task

    task = default_task()
    request = Request(task=task, sweep="s", methods=[METHOD], budget=trials, pruning=False)
    name, _, how = side.partition(", ")
    if name == "sweeper":
        return measure_sweeper(request, url, int(how.rpartition(" ")[2]), workers)
    from sweeper.search.space import build_space
    from tests.benchmarks.sides.tune import run_tune

    best, space = how.startswith("best"), build_space(task, METHOD)
    taken = run_tune(url, space, task.rung_steps, trials=trials, workers=workers, best=best)
    return Measured(seconds=taken)


def measure_sweeper(request: Request, url: str, cohort: int, workers: int) -> Measured:
    from tests.benchmarks.sides.ours import Clock, noop_runner, open_timed, run_timed

    store, clock = open_store(url, "benchmark"), Clock()
    sweep = open_timed(store, request, Path.cwd(), cohort, clock)
    with noop_runner("ray", sweep, clock, workers) as runner:
        run_timed(sweep, runner)
    store.close()
    return Measured(seconds=clock.last - clock.first, split=clock.split(), calls=dict(clock.calls))


@contextmanager
def server() -> Iterator[tuple[Embedded, Path]]:
    """Yield an embedded server as launches use it, and a folder; both go with the block."""
    with tempfile.TemporaryDirectory(prefix="sweeper-bench-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's server is another user's
        os.environ["SWEEPER_HOME"] = str(home_in(folder, "home"))
        embedded = Embedded(folder / "home")
        embedded.ensure_running()
        try:
            yield embedded, folder
        finally:
            end(embedded)


def measure_apart(side: str, url: str, trials: int, workers: int) -> tuple[Measured, float]:
    """Run one side in a fresh process; return what it says, and the seconds of the process."""
    command = [sys.executable, "-m", "tests.benchmarks.overhead", "--url", url, "--side", side]
    command += ["--trials", str(trials), "--workers", str(workers)]
    with tempfile.TemporaryDirectory(prefix="sweeper-bench-") as folder:
        began = time.perf_counter()
        process = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        taken = time.perf_counter() - began
    if process.returncode:
        raise click.ClickException(f"{side}: {process.stderr[-2000:]}")
    return Measured(**json.loads(process.stdout.splitlines()[-1])), taken


def stored(url: str) -> tuple[int, int]:
    """Return how many complete trials and how many reports Optuna's tables hold."""
    store = Store(url, connect_engine(url))
    with store.engine.connect() as connection:
        complete, reports = connection.execute(text(STORED)).one()
    store.close()
    return complete, reports


def show_split(side: str, measured: Measured, trials: int) -> None:
    parts = ", ".join(f"{n} {1e3 * s / trials:.1f}" for n, s in measured.split.items())
    segments = measured.calls["record"]
    print(f"{side}: ms a trial: {parts} ({segments / trials:.2f} segments a trial)")


def report(sides: tuple[str, ...], trials: int, workers: int, rounds: int) -> None:
    """Measure every side and print a table, the split of ours, and whether targets are met."""
    found: dict[str, Measured] = {}
    print(f"{trials} trials, {workers} workers")
    print(f"{'':24} {'trials/s':>9} {'ms/trial':>9} {'in all':>8}  stored in Optuna's tables")
    with server() as (embedded, _):
        for side in sides * rounds:
            with new_database(embedded, "") as url:
                measured, total = measure_apart(side, url, trials, workers)
                complete, reports = stored(url)
            taken = measured.seconds
            figures = f"{trials / taken:9.2f} {1e3 * taken / trials:9.1f} {total:6.1f} s"
            print(f"{side:24} {figures}  {complete} complete, {reports} reports", flush=True)
            found[side] = min(measured, found.get(side, measured), key=lambda each: each.seconds)
    for side, measured in found.items():
        if measured.split:
            show_split(side, measured, trials)
    show_targets(found)


def show_targets(found: Mapping[str, Measured]) -> None:
    for peer, target in TARGETS.items():
        for side in SIDES[:2]:
            if {peer, side} <= found.keys():
                gain = found[peer].seconds / found[side].seconds
                verdict = "met" if gain >= target else "missed"
                print(f"{side} over {peer}: {gain:.1f} x (target {target:g} x: {verdict})")


@click.command()
@click.option("--trials", default=96, help="Of each side; a multiple of 16.")
@click.option("--workers", default=2)
@click.option("--rounds", default=1)
@click.option("--side", "sides", multiple=True, type=click.Choice(SIDES), default=SIDES)
@click.option("--url", hidden=True, help="Run the one side on this database, in this process.")
def main(trials: int, workers: int, rounds: int, sides: tuple[str, ...], url: str | None) -> None:
    """Print trials a second."""
    if url is None:
        report(sides, trials, workers, rounds)
        return
    measured = measure(sides[0], url, trials, workers)
    print(f"\n{json.dumps(asdict(measured))}")


if __name__ == "__main__":
    main()
