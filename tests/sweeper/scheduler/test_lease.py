"""One driver at a time, and none that writes after it was taken over."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from sweeper.core.errors import LeaseLost
from sweeper.scheduler.lease import Holder, Lease, acquire
from sweeper.store.database import Store
from tests.sweeper.driving import (
    open_sweep,
    rows,
)


def test_one_driver_at_a_time(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    second = acquire(store.engine, sweep.id)
    assert isinstance(second, Holder)
    assert second.alive


def test_a_driver_that_was_taken_over_can_write_nothing(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.lease SET renewed_at = now() - interval '1 hour'"))
    assert isinstance(acquire(store.engine, sweep.id), Lease)
    with pytest.raises(LeaseLost):
        sweep.next_segment()
    assert rows(store.engine, "SELECT count(*) FROM sweeper.trial") == [(0,)]
