"""What a driver learns beside its runner: requests, lost leases, added trials."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from sweeper.core.errors import LeaseLost
from sweeper.runners.heartbeat import Heartbeat
from sweeper.scheduler.declaration import declare
from sweeper.scheduler.pause_and_cancel import pause
from sweeper.store.database import Store
from tests.sweeper.driving import (
    WHO,
    declaration_of,
    open_sweep,
    rows,
)
from tests.sweeper.scheduler.controlling import cancel_named, issue
from tests.waiting import eventually

REACHED = "SELECT progress_step FROM sweeper.segment"
RENEWED = "SELECT now() - renewed_at < interval '40 s' FROM sweeper.lease"


def test_the_segment_that_nobody_wants_is_ended_and_the_driver_goes_on(
    store: Store, tmp_path: Path
) -> None:
    sweep = open_sweep(store, tmp_path, cohort=1)
    heartbeat = Heartbeat(sweep, threading.Event())
    first, second = issue(sweep), issue(sweep)
    controls = {a.segment.members[0].method: heartbeat.control(a) for a in (first, second)}
    cancel_named(store, "s/kd")
    heartbeat.read_requests()
    stopped = {method: control.should_stop() for method, control in controls.items()}
    assert stopped == {"baseline": False, "kd": True}
    assert not heartbeat.stop.is_set()
    cancel_named(store, "s")
    heartbeat.read_requests()
    assert heartbeat.stop.is_set()
    assert heartbeat.end is not None
    assert heartbeat.end.why == "cancelled: baseline, kd"


def test_a_driver_says_what_another_launch_adds(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path, declaration_of(8))
    said: list[str] = []
    heartbeat = Heartbeat(sweep, threading.Event(), print_status=said.append)
    heartbeat.read_requests()
    declare(store.engine, declaration_of(16, methods=("kd", "rdd")), WHO)
    heartbeat.read_requests()
    heartbeat.read_requests()
    assert said == ["another launch adds trials, up to kd 16, rdd 16"]


def test_how_far_a_segment_is_is_stored_and_the_lease_renewed(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    assignment = issue(sweep)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.lease SET renewed_at = now() - interval '50 s'"))
    with Heartbeat(sweep, threading.Event(), interval_s=0.01) as heartbeat:
        heartbeat.control(assignment).on_progress(7)
        assert eventually(lambda: rows(store.engine, REACHED) == [(7,)])
    assert rows(store.engine, RENEWED) == [(True,)]


def test_a_driver_that_was_taken_over_is_stopped(store: Store, tmp_path: Path) -> None:
    sweep, stop = open_sweep(store, tmp_path), threading.Event()
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.lease SET epoch = epoch + 1"))
    with Heartbeat(sweep, stop, interval_s=0.01) as heartbeat:
        assert stop.wait(30)
    assert heartbeat.end is None  # nobody asked for it
    with pytest.raises(LeaseLost, match="run the same command to watch it"):
        heartbeat.check_lease()


def test_a_pause_stops_the_driver_and_says_so_once(store: Store, tmp_path: Path) -> None:
    sweep, stop = open_sweep(store, tmp_path), threading.Event()
    said: list[str] = []
    pause(store.engine, sweep.id, "me@here")
    with Heartbeat(sweep, stop, interval_s=0.01, print_status=said.append) as heartbeat:
        assert stop.wait(30)
    assert said == ["paused by me@here: finishing the running step and saving"]
    heartbeat.check_lease()
