"""What can happen to workers on Ray, whoever keeps them, and what they must never get to know."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from sweeper.runners.ray_cluster import Cluster
from sweeper.store.database import Store
from tests.sweeper.driving import rows
from tests.sweeper.runners.conftest import ON_RAY, SECRETS, RunnerOf
from tests.sweeper.runners.tiny import assert_complete, open_tiny, run_tiny
from tests.waiting import eventually

pytestmark = pytest.mark.ray
AT_WORK = ("ray::SlowWorker", "ray::OneSegment")
BUSY = """SELECT count(*) FROM sweeper.segment
          WHERE state = 'in flight' AND progress_step > start_step"""
LOST = "SELECT DISTINCT reason FROM sweeper.segment_member WHERE ending = 'lost'"


def disturb(store: Store, number: signal.Signals, seen: list[int]) -> None:
    """Send a signal to a worker when both of them are in the middle of a segment."""
    if eventually(lambda: rows(store.engine, BUSY) == [(2,)], 60):
        mine = psutil.Process().children(recursive=True)
        seen += [process.pid for process in mine if process.name().startswith(AT_WORK)]
        os.kill(seen[0], number)


@pytest.mark.parametrize("runner_of", ON_RAY, indirect=True)
@pytest.mark.parametrize(
    ("number", "why"), [(signal.SIGKILL, "a worker died"), (signal.SIGSTOP, "no progress")]
)
def test_a_worker_that_dies_or_falls_silent_is_replaced_and_nothing_is_lost(
    store: Store,
    tmp_path: Path,
    runner_of: RunnerOf,
    expected: list[list[tuple[Any, ...]]],
    number: signal.Signals,
    why: str,
) -> None:
    seen: list[int] = []
    sweep = open_tiny(store, tmp_path)
    thread = threading.Thread(target=disturb, args=(store, number, seen))
    thread.start()
    runner = runner_of(True)
    with sweep.open_log(runner.where, threading.Event()):
        assert run_tiny(sweep, runner)
    thread.join()
    assert seen
    assert_complete(store, expected)
    assert [reason.startswith(why) for (reason,) in rows(store.engine, LOST)] == [True]
    told = [json.loads(line) for line in sweep.log_file.read_text().splitlines()]
    assert any(f"a worker is replaced: {why}" in line["event"] for line in told)
    lost = next(line for line in told if "lost" in line.get("endings", {}).values())
    own = sweep.log_file.with_name(f"segment-{lost['segment']}.jsonl")
    began = json.loads(own.read_text().splitlines()[0])
    assert (began["event"], began["pid"]) == ("segment began", seen[0])


def test_a_worker_gets_nothing_that_leads_to_the_database(cluster: Cluster) -> None:
    environment = ray.get(ray.remote(lambda: dict(os.environ)).remote())
    assert not [name for name in environment if name.startswith(("PG", "SWEEPER_DATABASE"))]
    assert "secret" not in str(environment)
    assert SECRETS
