"""What a driver learns beside its runner: requests, lost leases, added trials."""

from __future__ import annotations

import threading
from pathlib import Path

from sweeper.runners.heartbeat import Heartbeat
from sweeper.scheduler.declaration import declare
from sweeper.store.database import Store
from tests.sweeper.driving import (
    WHO,
    declaration_of,
    open_sweep,
)
from tests.sweeper.scheduler.controlling import cancel_named, issue


def test_the_segment_that_nobody_wants_is_ended_and_the_driver_goes_on(
    store: Store, tmp_path: Path
) -> None:
    sweep = open_sweep(store, tmp_path, cohort=1)
    heartbeat = Heartbeat(sweep, threading.Event())
    first, second = issue(sweep), issue(sweep)
    controls = {a.segment.members[0].method: heartbeat.control(a) for a in (first, second)}
    cancel_named(store, "s/kd")
    heartbeat.look()
    stopped = {method: control.should_stop() for method, control in controls.items()}
    assert stopped == {"baseline": False, "kd": True}
    assert not heartbeat.stop.is_set()
    cancel_named(store, "s")
    heartbeat.look()
    assert heartbeat.stop.is_set()
    assert heartbeat.end is not None
    assert heartbeat.end.why == "cancelled: baseline, kd"


def test_a_driver_says_what_another_launch_adds(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path, declaration_of(8))
    said: list[str] = []
    heartbeat = Heartbeat(sweep, threading.Event(), print_status=said.append)
    heartbeat.look()
    declare(store.engine, declaration_of(16, methods=("kd", "rdd")), WHO)
    heartbeat.look()
    heartbeat.look()
    assert said == ["another launch adds trials, up to kd 16, rdd 16"]
