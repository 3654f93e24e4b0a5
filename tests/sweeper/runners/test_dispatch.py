"""What every runner must do alike: the same outcomes, however the work is divided."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from sweeper.scheduler.declaration import MethodPlan
from sweeper.scheduler.launch_request import check
from sweeper.scheduler.pause_and_cancel import pause
from sweeper.store.database import Store
from tests.sweeper.driving import LEDGER, rows
from tests.sweeper.runners.conftest import ALL, ONE_WORKER, RunnerOf
from tests.sweeper.runners.tiny import (
    IN_FLIGHT,
    REQUEST,
    assert_complete,
    log_of,
    open_tiny,
    run_tiny,
)
from tests.sweeper.scheduler.controlling import cancel_named
from trainers.training.segment import Outcome

STATES = "SELECT DISTINCT state FROM sweeper.study"


def stop_at_once(outcome: Outcome, stop: threading.Event) -> None:
    stop.set()


def broken_kd() -> list[MethodPlan]:
    """Return plans whose second method is one that no worker has."""
    baseline, kd = check(REQUEST)
    space = kd.space.calibrated(1.0).model_copy(update={"method": "broken"})
    plan = MethodPlan(
        space=space, code_hash=kd.code_hash, last_switch=kd.last_switch, needs_teacher=False
    )
    return [baseline, plan]


@pytest.mark.parametrize("runner_of", [*ALL, ONE_WORKER], indirect=True)
def test_parameters_values_and_weights_are_the_same(
    store: Store, tmp_path: Path, runner_of: RunnerOf, expected: list[list[tuple[Any, ...]]]
) -> None:
    assert run_tiny(open_tiny(store, tmp_path), runner_of(False))
    assert_complete(store, expected)
    assert {row[3] for row in rows(store.engine, LEDGER)} == {0}


def test_a_method_that_fails_ends_alone_and_the_other_goes_on(
    store: Store, tmp_path: Path, runner_of: RunnerOf
) -> None:
    assert run_tiny(open_tiny(store, tmp_path, broken_kd()), runner_of(False))
    [good, bad] = rows(
        store.engine, "SELECT state, complete, undecided, reason FROM sweeper.progress ORDER BY 1"
    )
    assert good == ("active", 5, 0, None)
    assert bad[:3] == ("failed", 0, 0)
    assert "broken" in bad[3]


def test_a_stop_records_what_runs_and_a_relaunch_goes_on(
    store: Store, tmp_path: Path, runner_of: RunnerOf, expected: list[list[tuple[Any, ...]]]
) -> None:
    assert not run_tiny(open_tiny(store, tmp_path), runner_of(True), stop_at_once)
    assert rows(store.engine, IN_FLIGHT) == [(0,)]
    assert run_tiny(open_tiny(store, tmp_path), runner_of(False))
    assert_complete(store, expected)
    assert {row[3] for row in rows(store.engine, LEDGER)} == {0}


def test_a_pause_ends_a_run_and_a_relaunch_goes_on(
    store: Store, tmp_path: Path, runner_of: RunnerOf, expected: list[list[tuple[Any, ...]]]
) -> None:
    sweep = open_tiny(store, tmp_path)

    def pause_it(outcome: Outcome, stop: threading.Event) -> None:
        pause(store.engine, sweep.id, "me@here")
        stop.wait(60)

    assert not run_tiny(sweep, runner_of(True), pause_it)
    assert rows(store.engine, IN_FLIGHT) == [(0,)]
    assert run_tiny(open_tiny(store, tmp_path), runner_of(False))
    assert_complete(store, expected)
    assert {row[3] for row in rows(store.engine, LEDGER)} == {0}


def test_a_cancelled_method_is_dropped_and_the_other_ends_as_it_would(
    store: Store, tmp_path: Path, runner_of: RunnerOf, expected: list[list[tuple[Any, ...]]]
) -> None:
    sweep = open_tiny(store, tmp_path)

    def cancel_kd(outcome: Outcome, stop: threading.Event) -> None:
        if any(member.key.startswith("s/kd#") for member in outcome.members):
            cancel_named(store, "s/kd")

    run_tiny(sweep, runner_of(True), cancel_kd)
    assert rows(store.engine, IN_FLIGHT) == [(0,)]
    mine = [[row for row in part if row[0] == "baseline"] for part in log_of(store)]
    assert mine == [[row for row in part if row[0] == "baseline"] for part in expected]
    states = "SELECT DISTINCT state, reason FROM sweeper.trials WHERE method = 'kd'"
    assert rows(store.engine, states) == [("FAIL", "cancelled by me@here")]


def test_with_everything_cancelled_a_runner_ends_what_it_has(
    store: Store, tmp_path: Path, runner_of: RunnerOf
) -> None:
    sweep = open_tiny(store, tmp_path)

    def cancel_all(outcome: Outcome, stop: threading.Event) -> None:
        cancel_named(store, "s")

    run_tiny(sweep, runner_of(True), cancel_all)
    assert rows(store.engine, IN_FLIGHT) == [(0,)]
    assert rows(store.engine, STATES) == [("cancelled",)]
    assert not list(sweep.root.rglob("*.pt"))


def test_progress_is_stored_while_a_segment_runs(
    store: Store, tmp_path: Path, runner_of: RunnerOf
) -> None:
    run_tiny(open_tiny(store, tmp_path), runner_of(True), stop_at_once)
    reported = "SELECT count(*) FROM sweeper.segment WHERE progress_step > start_step"
    [(count,)] = rows(store.engine, reported)
    assert count > 0
