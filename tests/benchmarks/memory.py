"""P10: memory of the driver over 10,000 trials that train nothing.

    python -m tests.benchmarks.memory [--trials 10000] [--runner ray|inline] [--workers 2] [--trace]

One process drives one sweep as a launch does, with the methods' usual plan: brackets of 16 judged
at 3 rungs, cohorts of 8, three methods in many repeats, so that no study is longer than 208 trials.
Printed every 500 decided trials: resident memory and its peak. Target: flat after the first 500.
`--trace` says besides which lines of Python hold what has been added since (and slows all down).
"""

from __future__ import annotations

import gc
import resource
import time
import tracemalloc
from typing import Any

import click
import psutil
from sqlalchemy import Engine, text

from sweeper.scheduler.launch_request import Request
from sweeper.store.database import open_store
from tests.benchmarks.overhead import server
from tests.benchmarks.sides.ours import Clock, default_task, noop_runner, open_timed, run_timed
from tests.servers import new_database

METHODS = ("baseline", "kd", "rdd")
REPEATS = 10  # of each method, and three times as many of the baseline: 50 studies
STUDIES = 50
EVERY = 500
DECIDED = text("SELECT count(*) FROM sweeper.trial WHERE state <> 'RUNNING'")
MIB = 2**20


class Scale:
    """Weighs this process every so many trials."""

    def __init__(self, engine: Engine, trace: bool) -> None:
        self.engine, self.trace = engine, trace
        self.weights: list[float] = []  # MiB, after each 500 trials
        self._began = time.perf_counter()
        self._due = EVERY
        self._first: tracemalloc.Snapshot | None = None

    def announce(self, *_: Any) -> None:
        """Weigh, if it is time; called after each segment."""
        with self.engine.connect() as connection:
            decided = int(connection.scalar(DECIDED) or 0)
        if decided < self._due:
            return
        self._due = (decided // EVERY + 1) * EVERY
        self.weigh(decided)

    def weigh(self, decided: int) -> None:
        """Print the memory after so many trials."""
        gc.collect()
        resident = psutil.Process().memory_info().rss / MIB
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rate = decided / (time.perf_counter() - self._began)
        self.weights.append(resident)
        print(f"{decided:7} {resident:9.1f} {peak:9.1f} {rate:9.1f}", flush=True)
        if self.trace:
            self._compare()

    def _compare(self) -> None:
        now = tracemalloc.take_snapshot()
        if self._first is None:
            self._first = now
            return
        for line in now.compare_to(self._first, "lineno")[:12]:
            print(f"        {line}")


def budget_of(trials: int) -> int:
    """Return the trials of each study: whole brackets, enough of them."""
    return -(-trials // (STUDIES * 16)) * 16


def report(trials: int, runner: str, workers: int, trace: bool) -> None:
    """Run the sweep, print a line every 500 trials, and how much was added after the first 500."""
    request = Request(
        task=default_task(),
        sweep="s",
        methods=METHODS,
        budget=budget_of(trials),
        repeats=REPEATS,
    )
    with server() as (embedded, folder), new_database(embedded, "") as url:
        store = open_store(url, "benchmark")
        sweep = open_timed(store, request, folder / "checkpoints", 8, Clock())
        print(f"{STUDIES} studies of {request.budget} trials, runner {runner}")
        print(f"{'trials':>7} {'MiB':>9} {'peak MiB':>9} {'trials/s':>9}")
        scale = Scale(store.engine, trace)
        with noop_runner(runner, sweep, Clock(), workers) as opened:
            run_timed(sweep, opened, scale.announce)
        store.close()
    first, *_, last = scale.weights
    print(f"added after the first {EVERY}: {last - first:+.1f} MiB (target: flat)")


@click.command()
@click.option("--trials", default=10_000, help="At least; rounded up to whole brackets.")
@click.option("--runner", type=click.Choice(["ray", "inline"]), default="ray")
@click.option("--workers", default=2)
@click.option("--trace", is_flag=True, help="Say which lines hold what was added.")
def main(trials: int, runner: str, workers: int, trace: bool) -> None:
    """Print the driver's memory."""
    if trace:
        tracemalloc.start()
    report(trials, runner, workers, trace)


if __name__ == "__main__":
    main()
