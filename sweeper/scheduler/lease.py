"""One driver per sweep: a lease in the database whose epoch fences every write.

A session lock alone does not fence: a driver that lost its connection comes back and still writes.
Ages are measured by the database's clock. A holder that died on this very host is seen at once.

Locks are always taken in the order lease, sweep, study: a driver's transaction begins by locking
its lease's row, a launch locks the sweep's row and then its studies', cancelling takes all three.
Whoever takes them in another order can deadlock with a driver.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert

from sweeper.core.errors import LeaseLost
from sweeper.core.names import this_user
from sweeper.store.schema import lease

BOOT = Path("/proc/sys/kernel/random/boot_id")
# Twelve renewals may be missed before a lease counts as lost: a database that fails over, or a node
# that swaps, is away for half a minute. A shorter life would have two drivers take turns; a longer
# one lets a sweep stand still for longer after a node has died.
LIFETIME_S = 60.0
RENEWAL_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to drive one sweep, for as long as its epoch is the latest."""

    sweep_id: int
    epoch: int

    def fence(self, connection: Connection) -> None:
        """Raise LeaseLost unless this lease is still the latest; holds it until the commit."""
        row = lease.c.sweep_id == self.sweep_id
        # FOR SHARE: transactions of this driver do not wait for one another. Who changes the row
        # waits until they have ended: `acquire` and `cancel`, and a renewal, for milliseconds.
        epoch = connection.scalar(select(lease.c.epoch).where(row).with_for_update(read=True))
        if epoch != self.epoch:
            raise LeaseLost(
                f"another driver took this sweep over (epoch {epoch}, ours {self.epoch}); "
                "nothing was written; run the same command again to watch it"
            )

    def renew(self, engine: Engine) -> None:
        """Say that the driver is alive; LeaseLost when another one has taken over."""
        with engine.begin() as connection:
            renewed = connection.execute(
                update(lease).where(*self._mine()).values(renewed_at=func.now())
            )
            if renewed.rowcount == 0:
                self.fence(connection)

    def release(self, engine: Engine) -> None:
        """Let the next driver in without waiting."""
        with engine.begin() as connection:
            connection.execute(update(lease).where(*self._mine()).values(holder=None))

    def _mine(self) -> tuple[Any, Any]:
        return lease.c.sweep_id == self.sweep_id, lease.c.epoch == self.epoch


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who drives a sweep at present."""

    name: str  # user@host, process id
    age_s: float  # since its last heartbeat
    alive: bool


def acquire(engine: Engine, sweep_id: int) -> Lease | Holder:
    """Return the lease on a sweep, or who holds it."""
    with engine.begin() as connection:
        connection.execute(
            insert(lease).values(sweep_id=sweep_id, epoch=0).on_conflict_do_nothing()
        )
        holder = holder_of(connection, sweep_id, lock=True)
        if holder is not None and holder.alive:
            return holder
        taken = update(lease).where(lease.c.sweep_id == sweep_id)
        epoch = connection.scalar(
            taken.values(epoch=lease.c.epoch + 1, renewed_at=func.now(), **_me()).returning(
                lease.c.epoch
            )
        )
    return Lease(sweep_id=sweep_id, epoch=int(epoch or 0))


def holder_of(connection: Connection, sweep_id: int, *, lock: bool = False) -> Holder | None:
    """Return the holder of a sweep's lease, dead or alive; None when nobody holds it."""
    # clock_timestamp(), not now(): now() stands still within a transaction, and this one may have
    # waited for the row since it began. A renewal's now() is early by its own short wait at most.
    age = func.extract("epoch", func.clock_timestamp() - lease.c.renewed_at)
    query = select(lease, age.label("age")).where(lease.c.sweep_id == sweep_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None or row.holder is None:
        return None
    alive = float(row.age) < LIFETIME_S and not _died_here(row)
    return Holder(name=row.holder, age_s=float(row.age), alive=alive)


def _died_here(row: Any) -> bool:
    """Return whether the holder was a process of this host (this boot) that is no more."""
    me = _me()
    if (row.host, row.boot) != (me["host"], me["boot"]):
        return False
    started = _started(row.pid)
    return started is None or started != row.process_started


def _me() -> dict[str, Any]:
    pid = os.getpid()
    return {
        "holder": f"{this_user()}, process {pid}",
        "host": socket.gethostname(),
        # Containers may share a host's name and boot, but each has process ids of its own.
        "boot": f"{BOOT.read_text().strip()} {Path('/proc/self/ns/pid').readlink()}",
        "pid": pid,
        "process_started": _started(pid),
    }


def _started(pid: int) -> float | None:
    """Return when a process started, in clock ticks since the boot; None where there is none."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return float(status.rpartition(")")[2].split()[19])  # the name before it may hold spaces
