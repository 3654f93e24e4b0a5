"""Pausing and cancelling, as the log and the state machine see it."""

from __future__ import annotations

import threading
from pathlib import Path

import optuna
import pytest
from sqlalchemy import text

from sweeper.core.errors import SweeperError
from sweeper.core.launch_limits import NO_LIMITS, Limits
from sweeper.scheduler.declaration import declare
from sweeper.scheduler.pause_and_cancel import pause, read_requests
from sweeper.store.database import Store
from tests.sweeper.driving import (
    TRIALS,
    WHO,
    declaration_of,
    failing,
    open_sweep,
    results,
    rows,
    run_sweep,
)
from tests.sweeper.fakes import FakeTrainer
from tests.sweeper.scheduler.controlling import cancel_named, issue, record
from trainers.training.segment import Ending

STUDIES = "SELECT method, state, complete, undecided FROM sweeper.progress ORDER BY method"
IN_FLIGHT = "SELECT count(*) FROM sweeper.segment WHERE state = 'in flight'"
KD = "SELECT trained_steps, wasted_steps FROM sweeper.ledger WHERE method = 'kd'"


def test_a_cancelled_method_is_left_and_the_other_ends_as_it_would_alone(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    sweep = open_sweep(store, tmp_path / "a", cohort=4)
    record(sweep, issue(sweep))
    cancel_named(store, "s/kd")
    assert run_sweep(sweep)
    run_sweep(open_sweep(other_store, tmp_path / "b", declaration_of(methods=("baseline",))))
    mine = [[r for r in part if r[0] == "baseline"] for part in results(store.engine)]
    assert mine == [list(part) for part in results(other_store.engine)]
    assert rows(store.engine, STUDIES)[1] == ("kd", "cancelled", 0, 0)
    reasons = rows(store.engine, "SELECT DISTINCT reason FROM sweeper.trials WHERE method = 'kd'")
    assert reasons == [("cancelled by me@here",)]
    study = optuna.load_study(study_name="s/kd", storage=store.storage)
    assert {trial.state.name for trial in study.trials} == {"FAIL"}


def test_what_was_in_flight_is_dropped_booked_as_wasted_and_leaves_no_file(
    store: Store, tmp_path: Path
) -> None:
    sweep = open_sweep(store, tmp_path, declaration_of(methods=("kd",)), cohort=4)
    record(sweep, issue(sweep), FakeTrainer(cut=lambda _: 10))
    assignment = issue(sweep)
    starts = [m.checkpoint for m in assignment.segment.members if m.checkpoint is not None]
    late = FakeTrainer(cut=lambda segment: segment.start + 3)
    cancel_named(store, "s")
    assert [file.is_file() for file in starts] == [True] * 4  # a worker may be about to read them
    before = rows(store.engine, TRIALS)
    record(sweep, assignment, late)
    assert rows(store.engine, TRIALS) == before
    kept = 4 * 10
    assert rows(store.engine, KD) == [(kept, 4 * 3)]
    assert not list(tmp_path.rglob("*.pt"))
    assert rows(store.engine, STUDIES) == [("kd", "cancelled", 0, 0)]


def test_finished_trials_stay_and_so_does_a_method_that_is_done(
    store: Store, tmp_path: Path
) -> None:
    run_sweep(open_sweep(store, tmp_path, declaration_of(8)))
    sweep = open_sweep(store, tmp_path, declaration_of(24, methods=("kd",)))
    complete = set(tmp_path.rglob("*.pt"))
    cancel_named(store, "s")
    assert rows(store.engine, STUDIES) == [("baseline", "active", 8, 0), ("kd", "cancelled", 8, 0)]
    assert run_sweep(sweep)
    assert set(tmp_path.rglob("*.pt")) == complete


def test_one_search_of_a_method_may_be_cancelled_alone(store: Store, tmp_path: Path) -> None:
    open_sweep(store, tmp_path, declaration_of(8, repeats=2))
    states = "SELECT method, repeat FROM sweeper.study WHERE state = 'cancelled' ORDER BY id"
    cancel_named(store, "s/kd@2", one_search=True)
    assert rows(store.engine, states) == [("kd", 2)]
    cancel_named(store, "s/kd")
    assert rows(store.engine, states) == [("kd", 1), ("kd", 2)]


def test_a_cancelled_method_is_not_blocked_by_what_its_driver_finds_out_later(
    store: Store, tmp_path: Path
) -> None:
    sweep = open_sweep(store, tmp_path)
    kd = rows(store.engine, "SELECT id FROM sweeper.study WHERE method = 'kd'")[0][0]
    cancel_named(store, "s/kd")
    sweep.block(kd, "its terms cannot be calibrated")
    assert rows(store.engine, STUDIES)[1][1] == "cancelled"


def test_a_cancelled_method_is_not_launched_again(store: Store, tmp_path: Path) -> None:
    open_sweep(store, tmp_path)
    cancel_named(store, "s/kd")
    with pytest.raises(SweeperError, match="sweeper delete s --method kd"):
        declare(store.engine, declaration_of(), WHO)
    declare(store.engine, declaration_of(methods=("baseline",)), WHO)


def test_where_nobody_drives_what_was_in_flight_is_given_up(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path, cohort=8)
    issue(sweep)
    sweep.lease.release(store.engine)
    cancel_named(store, "s/kd")
    assert rows(store.engine, IN_FLIGHT) == [(1,)]  # its other members are to be trained
    cancel_named(store, "s")
    assert rows(store.engine, IN_FLIGHT) == [(0,)]


def test_a_cancelled_method_does_not_become_a_failed_one(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path, declaration_of(methods=("kd",)), cohort=8)
    assignment = issue(sweep)
    cancel_named(store, "s")
    record(sweep, assignment, FakeTrainer(fault=failing(Ending.FAILED)))
    assert rows(store.engine, STUDIES) == [("kd", "cancelled", 0, 0)]


def test_a_trial_alone_is_not_cancelled(store: Store, tmp_path: Path) -> None:
    open_sweep(store, tmp_path)
    with pytest.raises(SweeperError, match="cancel s/kd$"):
        cancel_named(store, "s/kd#3")


def test_a_cancellation_waits_for_the_driver_s_transaction(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    thread = threading.Thread(target=cancel_named, args=(store, "s"))
    with store.engine.begin() as connection:
        sweep.lease.fence(connection)
        thread.start()
        thread.join(timeout=0.5)
        assert thread.is_alive()
    thread.join(timeout=30)
    assert {row[1] for row in rows(store.engine, STUDIES)} == {"cancelled"}


def test_a_driver_reads_of_a_pause_and_a_launch_ends_it(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    assert read_requests(store.engine, sweep.id, NO_LIMITS).end is None
    pause(store.engine, sweep.id, "me@here")
    pause(store.engine, sweep.id, "you@there")
    end = read_requests(store.engine, sweep.id, NO_LIMITS).end
    assert end is not None
    assert end.why == "paused by me@here"
    declare(store.engine, declaration_of(), WHO)
    assert read_requests(store.engine, sweep.id, NO_LIMITS).end is None
    kinds = "SELECT kind FROM sweeper.event WHERE kind IN ('paused', 'resumed') ORDER BY id"
    assert rows(store.engine, kinds) == [("paused",), ("resumed",)]


def test_device_hours_are_kept_wasted_and_in_flight(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path, cohort=8)
    record(sweep, issue(sweep), FakeTrainer(fault=failing(Ending.LOST, "s/kd#0")))
    issue(sweep)
    minutes = "UPDATE sweeper.segment SET heartbeat_at = started_at + interval '2 min'"
    with store.engine.begin() as connection:
        connection.execute(text(f"{minutes} WHERE state = 'in flight'"))
    spent = 8 * 0.5 + 120  # a fake member takes half a second
    for hours, is_reached in ((spent / 3600, True), ((spent + 1) / 3600, False)):
        requests = read_requests(store.engine, sweep.id, Limits(device_hours=hours))
        assert (requests.end is not None) is is_reached
