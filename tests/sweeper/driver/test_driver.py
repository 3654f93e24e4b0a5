"""Real drivers that are paused, cancelled or limited by somebody else, and launched again."""

from __future__ import annotations

import signal
from pathlib import Path

from sweeper.store.database import Store
from tests.sweeper.driving import rows
from tests.sweeper.processes import TASK, Process, finish, sweeper, wait_until

ENDED = 3
RESULTS = """SELECT y.method, t.number, t.params, t.state, r.step, r.score, r.weights_hash
             FROM sweeper.trial t JOIN sweeper.study y ON y.id = t.study_id
             LEFT JOIN sweeper.rung r ON r.study_id = t.study_id AND r.number = t.number
             ORDER BY y.method, t.number, r.step"""
RUNGS = "SELECT count(*) FROM sweeper.rung"
IN_FLIGHT = "SELECT count(*) FROM sweeper.segment WHERE state = 'in flight'"
HELD = "SELECT count(*) FROM sweeper.lease WHERE holder IS NOT NULL"
TRAINED = "SELECT sum(trained_steps) FROM sweeper.ledger"
READ_AT = """SELECT max(query_start) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'sweeper watch%'"""
WASTED = "SELECT sum(wasted_steps) FROM sweeper.ledger"


def launch(
    store: Store, folder: Path, *more: str, budget: int = 40, methods: str = "baseline kd"
) -> Process:
    chosen = [part for method in methods.split() for part in ("--method", method)]
    place = ["--sweep", "s", "--task", str(TASK), "--checkpoint-dir", str(folder)]
    how = ["--budget", str(budget), "--device", "cpu", "--cohort", "1"]
    return sweeper(store, "launch", *place, *chosen, *how, *more)


def wait_for(store: Store, process: Process, query: str, at_least: int) -> None:
    wait_until(lambda: bool(rows(store.engine, query)[0][0] >= at_least), process)


def assert_all_let_go(store: Store) -> None:
    assert rows(store.engine, IN_FLIGHT) == rows(store.engine, HELD) == [(0,)]


def test_a_pause_ends_driver_and_watcher_and_the_same_command_goes_on(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    driver = launch(store, tmp_path / "a")
    wait_for(store, driver, RUNGS, 2)
    watcher = launch(store, tmp_path / "a")
    wait_for(store, driver, "SELECT count(*) FROM sweeper.launch", 2)
    said = finish(sweeper(store, "pause", "s"))
    assert "to finish the running step, save and end" in said
    for process in (driver, watcher):
        assert "the same command goes on" in finish(process, ENDED).splitlines()[-1]
    assert_all_let_go(store)
    [(before,)] = rows(store.engine, RUNGS)
    assert "was paused by" in finish(launch(store, tmp_path / "a", "--cohort", "8"))
    finish(launch(other_store, tmp_path / "b", "--cohort", "8"))
    assert rows(store.engine, RESULTS) == rows(other_store.engine, RESULTS)
    assert [(before,)] < rows(store.engine, RUNGS)
    assert rows(store.engine, WASTED) == [(0,)]


def test_a_method_that_is_cancelled_in_mid_flight_ends_alone(store: Store, tmp_path: Path) -> None:
    driver = launch(store, tmp_path, budget=24)
    wait_for(store, driver, RUNGS, 2)
    assert finish(sweeper(store, "cancel", "s/kd", "--yes")).endswith("cancelled\n")
    output = finish(driver, ENDED)
    assert "kd cancelled: by " in output
    assert "ended by a cancellation" in output.splitlines()[-1]
    counts = rows(store.engine, "SELECT state, complete, undecided FROM sweeper.progress")
    assert sorted(counts)[0] == ("active", 13, 0)
    assert sorted(counts)[1][0] == "cancelled"
    refused = finish(launch(store, tmp_path, budget=24), 2)
    assert "sweeper delete s --method kd" in refused
    finish(launch(store, tmp_path, budget=24, methods="baseline"))


def test_a_driver_with_nothing_left_ends_at_once(store: Store, tmp_path: Path) -> None:
    driver = launch(store, tmp_path, "--cohort", "8")
    wait_for(store, driver, RUNGS, 1)
    finish(sweeper(store, "cancel", "s", "--yes"))
    assert "ended by a cancellation" in finish(driver, ENDED)
    assert_all_let_go(store)
    complete = "SELECT count(*) FROM sweeper.trial WHERE state = 'COMPLETE'"
    files = [file for file in tmp_path.rglob("*.pt") if file.parent.name.startswith("segment-")]
    assert [(len(files),)] == rows(store.engine, complete)


def test_device_hours_end_a_driver_cleanly_and_more_of_them_go_on(
    store: Store, tmp_path: Path
) -> None:
    option = "--max-device-hours"
    output = finish(launch(store, tmp_path, option, "0.0002", budget=80), ENDED)
    assert "the same command with a higher --max-device-hours goes on" in output.splitlines()[-1]
    assert_all_let_go(store)
    trained = rows(store.engine, TRAINED)
    assert trained > [(0,)]
    again = finish(launch(store, tmp_path, option, "0.0002", budget=80), ENDED)
    assert "device-hours are used" in again
    assert rows(store.engine, TRAINED) == trained
    more = launch(
        store, tmp_path, "--cohort", "8", "--max-device-hours", "9", budget=80, methods="baseline"
    )
    finish(more)
    assert rows(store.engine, WASTED) == [(0,)]


def test_a_deadline_ends_a_driver_cleanly(store: Store, tmp_path: Path) -> None:
    output = finish(launch(store, tmp_path, "--deadline", "10s", budget=80), ENDED)
    assert "the same command with a later --deadline goes on" in output.splitlines()[-1]
    assert_all_let_go(store)
    assert rows(store.engine, WASTED) == [(0,)]


def watch_driver(store: Store, folder: Path) -> tuple[Process, Process]:
    """Return a driver, and a watcher that has said who drives."""
    driver = launch(store, folder, "--cohort", "4", budget=16)
    wait_for(store, driver, RUNGS, 1)
    return driver, started_watcher(store)


def started_watcher(store: Store) -> Process:
    """Return a watcher that has said who drives."""
    watcher = sweeper(store, "watch", "s")
    assert watcher.stdout is not None
    first = watcher.stdout.readline()
    assert "; driven by " in first
    assert "in flight: " in first
    return watcher


def wait_until_it_reads(store: Store, watcher: Process) -> None:
    before = rows(store.engine, READ_AT)
    wait_until(lambda: rows(store.engine, READ_AT) != before, watcher)


def test_a_watcher_ends_with_the_sweep(store: Store, tmp_path: Path) -> None:
    driver, watcher = watch_driver(store, tmp_path)
    finish(driver)
    assert finish(watcher).splitlines()[-1] == "sweep s: done"


def test_a_watcher_ends_when_the_driver_dies(store: Store, tmp_path: Path) -> None:
    driver, watcher = watch_driver(store, tmp_path)
    driver.kill()
    driver.communicate()
    assert "interrupted (its driver " in finish(watcher).splitlines()[-1]


def test_an_interrupt_ends_the_watching_and_not_the_driver(store: Store, tmp_path: Path) -> None:
    driver = launch(store, tmp_path, "--cohort", "4", budget=400)
    wait_for(store, driver, RUNGS, 1)
    for moment in ("while it waits", "about when it reads"):
        watcher = started_watcher(store)
        if moment == "about when it reads":
            wait_until_it_reads(store, watcher)
        watcher.send_signal(signal.SIGINT)
        assert "Traceback" not in finish(watcher, 130)
    driver.send_signal(signal.SIGINT)
    finish(driver, 130)


def test_a_watcher_that_waits_stays_until_the_sweep_is_done(store: Store, tmp_path: Path) -> None:
    finish(launch(store, tmp_path, "--deadline", "1s", budget=8, methods="baseline"), ENDED)
    watcher = sweeper(store, "watch", "s", "--wait")
    assert watcher.stdout is not None
    assert "interrupted: go on with" in watcher.stdout.readline()
    finish(launch(store, tmp_path, "--cohort", "8", budget=8, methods="baseline"))
    assert finish(watcher).splitlines()[-1] == "sweep s: done"
