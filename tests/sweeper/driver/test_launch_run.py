"""Whole sweeps in real processes: killed, interrupted, started twice, packed in other ways."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeper.postgres.embedded import Embedded
from sweeper.store.database import Store, open_store
from tests.servers import new_database
from tests.sweeper.driving import rows
from tests.sweeper.processes import TASK, Process, finish, sweeper, wait_until

METHODS = ("baseline", "kd", "rdd")
BUDGET = 8
INTERRUPTED = 130

RESULTS = """
    SELECT y.method, t.number, t.params, t.state, r.step, r.score, r.weights_hash
    FROM sweeper.trial t JOIN sweeper.study y ON y.id = t.study_id
    LEFT JOIN sweeper.rung r ON r.study_id = t.study_id AND r.number = t.number
    ORDER BY y.method, t.number, r.step"""
COUNTS = "SELECT method, planned, undecided FROM sweeper.progress ORDER BY method"
RUNGS = "SELECT count(*) FROM sweeper.rung"
SEGMENTS = "SELECT count(*) FROM sweeper.segment WHERE state = 'in flight'"


def _launch(store: Store, folder: Path, *more: str, methods: tuple[str, ...] = METHODS) -> Process:
    chosen = [part for method in methods for part in ("--method", method)]
    place = ["--task", str(TASK), "--budget", str(BUDGET), "--checkpoint-dir", str(folder)]
    return sweeper(store, "launch", *place, "--device", "cpu", *chosen, *more)


def _wait_for_rungs(store: Store, process: Process, at_least: int) -> None:
    wait_until(lambda: bool(rows(store.engine, RUNGS)[0][0] >= at_least), process)


@pytest.fixture(scope="module")
def undisturbed(
    embedded: Embedded, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[tuple[Any, ...]]]:
    """Results of the same sweep, run once without any disturbance in cohorts of 8."""
    with new_database(embedded, f"TEMPLATE {template}") as url:
        opened = open_store(url, "test")
        finish(_launch(opened, tmp_path_factory.mktemp("undisturbed")))
        yield rows(opened.engine, RESULTS)
        opened.close()


def _assert_complete(store: Store, undisturbed: list[tuple[Any, ...]]) -> None:
    assert rows(store.engine, COUNTS) == [(method, BUDGET, 0) for method in METHODS]
    assert rows(store.engine, RESULTS) == undisturbed


def test_trials_do_not_depend_on_their_cohorts(
    store: Store, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    finish(_launch(store, tmp_path, "--cohort", "1"))
    _assert_complete(store, undisturbed)


def test_a_killed_driver_is_resumed_without_repeating_finished_work(
    store: Store, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    driver = _launch(store, tmp_path, "--cohort", "3")
    _wait_for_rungs(store, driver, at_least=7)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    finished = rows(store.engine, "SELECT study_id, number, index, recorded_at FROM sweeper.rung")
    finish(_launch(store, tmp_path, "--cohort", "3"))
    _assert_complete(store, undisturbed)
    after = rows(store.engine, "SELECT study_id, number, index, recorded_at FROM sweeper.rung")
    assert set(finished) <= set(after)
    assert rows(store.engine, SEGMENTS) == [(0,)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_driver_saves_and_goes_on(
    store: Store, tmp_path: Path, undisturbed: list[tuple[Any, ...]], number: signal.Signals
) -> None:
    for at_least in (2, 9):
        driver = _launch(store, tmp_path, "--cohort", "2")
        _wait_for_rungs(store, driver, at_least)
        driver.send_signal(number)
        assert "the same command goes on" in finish(driver, INTERRUPTED)
        assert rows(store.engine, SEGMENTS) == [(0,)]
    finish(_launch(store, tmp_path))
    _assert_complete(store, undisturbed)
    assert rows(store.engine, "SELECT sum(wasted_steps) FROM sweeper.ledger") == [(0,)]


def test_of_two_drivers_one_drives_and_the_other_says_so(
    store: Store, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    both = [_launch(store, tmp_path) for _ in range(2)]
    outputs = [finish(process) for process in both]
    assert sum("will run this as well; watching" in output for output in outputs) == 1
    _assert_complete(store, undisturbed)


def test_a_method_that_is_added_while_another_process_drives_gets_its_teacher(
    store: Store, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    driver = _launch(store, tmp_path, "--cohort", "1", methods=("baseline",))
    _wait_for_rungs(store, driver, at_least=1)
    watcher = _launch(store, tmp_path, methods=("kd", "rdd"))
    finish(driver)
    finish(watcher)
    _assert_complete(store, undisturbed)
