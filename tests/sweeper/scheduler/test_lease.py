"""One driver at a time, and none that writes after it was taken over."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from sweeper.core.errors import LeaseLost
from sweeper.scheduler.lease import Holder, Lease, acquire, holder_of
from sweeper.store.database import Store
from tests.sweeper.driving import (
    open_sweep,
    rows,
)


def change(store: Store, values: str) -> None:
    with store.engine.begin() as connection:
        connection.execute(text(f"UPDATE sweeper.lease SET {values}"))


def test_one_driver_at_a_time(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    second = acquire(store.engine, sweep.id)
    assert isinstance(second, Holder)
    assert second.alive


def test_a_driver_that_was_taken_over_can_write_nothing(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    change(store, "renewed_at = now() - interval '1 hour'")
    assert isinstance(acquire(store.engine, sweep.id), Lease)
    with pytest.raises(LeaseLost):
        sweep.next_segment()
    assert rows(store.engine, "SELECT count(*) FROM sweeper.trial") == [(0,)]


def test_a_lease_that_was_released_is_free_at_once(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    sweep.lease.release(store.engine)
    with store.engine.connect() as connection:
        assert holder_of(connection, sweep.id) is None
    assert acquire(store.engine, sweep.id) == Lease(sweep_id=sweep.id, epoch=2)


def test_a_holder_that_died_on_this_host_is_seen_at_once(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    change(store, "process_started = process_started + 1")  # its number is another process's now
    assert isinstance(acquire(store.engine, sweep.id), Lease)


@pytest.mark.parametrize(("age", "is_free"), [("50 s", False), ("70 s", True)])
def test_a_holder_on_another_host_is_believed_alive_for_a_while(
    store: Store, tmp_path: Path, age: str, is_free: bool
) -> None:
    sweep = open_sweep(store, tmp_path)
    change(store, f"host = 'elsewhere', renewed_at = now() - interval '{age}'")
    assert isinstance(acquire(store.engine, sweep.id), Lease) == is_free


def test_a_renewed_lease_is_as_young_as_its_renewal(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    change(store, "renewed_at = now() - interval '50 s'")
    sweep.lease.renew(store.engine)
    with store.engine.connect() as connection:
        holder = holder_of(connection, sweep.id)
    assert holder is not None
    assert holder.age_s < 50


def test_a_lease_that_is_another_s_by_now_is_not_renewed(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    change(store, "epoch = epoch + 1")
    with pytest.raises(LeaseLost, match=r"\(epoch 2, ours 1\)"):
        sweep.lease.renew(store.engine)
