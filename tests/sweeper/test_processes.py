"""Whole sweeps in real processes: killed, interrupted, started twice, packed in other ways."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sweeper.store.database import Store, open_store
from sweeper.store.embedded import Embedded
from tests.servers import new_database

TASK = Path(__file__).parent / "tasks" / "tiny.toml"
METHODS = ("baseline", "kd", "rdd")
BUDGET = 8
INTERRUPTED = 130

RESULTS = """
    SELECT y.method, t.number, t.params, t.state, r.step, r.value, r.weights_hash
    FROM sweeper.trial t JOIN sweeper.study y ON y.id = t.study_id
    LEFT JOIN sweeper.rung r ON r.study_id = t.study_id AND r.number = t.number
    ORDER BY y.method, t.number, r.step"""
COUNTS = "SELECT method, planned, undecided FROM sweeper.progress ORDER BY method"
RUNGS = "SELECT count(*) FROM sweeper.rung"
SEGMENTS = "SELECT count(*) FROM sweeper.segment WHERE state = 'in flight'"


def _rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def _launch(
    store: Store, folder: Path, *more: str, methods: tuple[str, ...] = METHODS
) -> subprocess.Popen[str]:
    chosen = [part for method in methods for part in ("--method", method)]
    command = [sys.executable, "-m", "sweeper.cli.main", "launch", "--task", str(TASK)]
    command += ["--budget", str(BUDGET), "--database", store.url, "--checkpoint-dir", str(folder)]
    return subprocess.Popen(
        [*command, "--device", "cpu", *chosen, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def _finish(process: subprocess.Popen[str], code: int = 0) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _wait_for_rungs(store: Store, process: subprocess.Popen[str], at_least: int) -> None:
    _wait_for(lambda: _rows(store.engine, RUNGS)[0][0] >= at_least, process)


@pytest.fixture(scope="module")
def undisturbed(
    embedded: Embedded, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[tuple[Any, ...]]]:
    """Results of the same sweep, run once without any disturbance in cohorts of 8."""
    with new_database(embedded, f"TEMPLATE {template}") as url:
        opened = open_store(url, "test")
        _finish(_launch(opened, tmp_path_factory.mktemp("undisturbed")))
        yield _rows(opened.engine, RESULTS)
        opened.close()


def _assert_complete(store: Store, undisturbed: list[tuple[Any, ...]]) -> None:
    assert _rows(store.engine, COUNTS) == [(method, BUDGET, 0) for method in METHODS]
    assert _rows(store.engine, RESULTS) == undisturbed


def test_trials_do_not_depend_on_their_cohorts(
    store: Store, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    _finish(_launch(store, tmp_path, "--cohort", "1"))
    _assert_complete(store, undisturbed)


def test_a_killed_driver_is_resumed_without_repeating_finished_work(
    store: Store, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    driver = _launch(store, tmp_path, "--cohort", "3")
    _wait_for_rungs(store, driver, at_least=7)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    finished = _rows(store.engine, "SELECT study_id, number, index, recorded_at FROM sweeper.rung")
    _finish(_launch(store, tmp_path, "--cohort", "3"))
    _assert_complete(store, undisturbed)
    after = _rows(store.engine, "SELECT study_id, number, index, recorded_at FROM sweeper.rung")
    assert set(finished) <= set(after)
    assert _rows(store.engine, SEGMENTS) == [(0,)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_driver_saves_and_goes_on(
    store: Store, tmp_path: Path, undisturbed: list[tuple[Any, ...]], number: signal.Signals
) -> None:
    for at_least in (2, 9):
        driver = _launch(store, tmp_path, "--cohort", "2")
        _wait_for_rungs(store, driver, at_least)
        driver.send_signal(number)
        assert "the same command goes on" in _finish(driver, INTERRUPTED)
        assert _rows(store.engine, SEGMENTS) == [(0,)]
    _finish(_launch(store, tmp_path))
    _assert_complete(store, undisturbed)
    assert _rows(store.engine, "SELECT sum(wasted_steps) FROM sweeper.ledger") == [(0,)]


def test_of_two_drivers_one_drives_and_the_other_says_so(
    store: Store, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    both = [_launch(store, tmp_path) for _ in range(2)]
    outputs = [_finish(process) for process in both]
    assert sum("will run this as well; watching" in output for output in outputs) == 1
    _assert_complete(store, undisturbed)


def test_a_method_that_is_added_while_another_process_drives_gets_its_teacher(
    store: Store, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    driver = _launch(store, tmp_path, "--cohort", "1", methods=("baseline",))
    _wait_for_rungs(store, driver, at_least=1)
    watcher = _launch(store, tmp_path, methods=("kd", "rdd"))
    _finish(driver)
    _finish(watcher)
    _assert_complete(store, undisturbed)
