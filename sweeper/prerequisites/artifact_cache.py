"""What is trained once and used by many trials: found again by the hash of all that determines it.

A teacher, a method's preparation, the student at which methods are calibrated. Sweeps share them.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from sweeper.core.errors import SweeperError
from sweeper.store.schema import artifact
from trainers.errors import UnusableFile

LOCK_POLL_S = 2.0
Announce = Callable[[str], None]

logger = logging.getLogger(__name__)


class Interrupted(SweeperError):
    """A stop was asked for; what was done is saved."""


class CannotBeTrained(SweeperError):
    """Its training diverged or failed, and would do so again."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """Something trained once."""

    hash: str  # of everything that determines it
    kind: str
    origin: str  # "trained", or the file it was taken from
    identity: Mapping[str, Any]
    path: Path
    weights_hash: str
    metrics: Mapping[str, float]


def find_artifact(engine: Engine, identity: str) -> Artifact | None:
    """Return what is stored under that hash, if its file is still there and undamaged."""
    found = stored_artifact(engine, identity)
    return found if found is not None and _is_sound(found.path, found.weights_hash) else None


def stored_artifact(engine: Engine, identity: str) -> Artifact | None:
    """Return what is stored under that hash, whatever has become of its file."""
    with engine.connect() as connection:
        row = connection.execute(select(artifact).where(artifact.c.hash == identity)).one_or_none()
    if row is None:
        return None
    return Artifact(
        hash=row.hash,
        kind=row.kind,
        origin=row.origin,
        identity=row.identity,
        path=Path(row.path),
        weights_hash=row.weights_hash,
        metrics=row.metrics,
    )


def is_stored(engine: Engine, identity: str) -> bool:
    """Whether something is stored under that hash and its file is there, which is not read."""
    found = stored_artifact(engine, identity)
    return found is not None and found.path.is_file()


def _is_sound(file: Path, weights_hash: str) -> bool:
    """Whether a file of ours is undamaged and holds those weights; a warning says if it does not.

    One that is gone is nothing to warn of: a launch with another folder may have made it.
    """
    if not file.is_file():
        return False
    from trainers.training.checkpoints import read_ours  # loads torch

    try:
        read_ours(file, weights_hash)
    except UnusableFile as error:
        logger.warning("%s; it is made again", error)
        return False
    return True


def store_artifact(engine: Engine, made: Artifact) -> None:
    """Record it; what is recorded under its hash is replaced."""
    values = {**vars(made), "path": str(made.path)}
    with engine.begin() as connection:
        connection.execute(
            insert(artifact)
            .values(**values)
            .on_conflict_do_update(index_elements=["hash"], set_=values)
        )


@dataclass(frozen=True, kw_only=True)
class ArtifactCache:
    """Where artifacts are made: one process at a time makes the same one, others wait for it."""

    engine: Engine
    folder: Path  # that every worker sees
    stop: threading.Event
    announce: Announce

    def ensure(self, identity: str, make: Callable[[], Artifact]) -> Artifact:
        """Return the artifact of that hash, made and recorded where there is none.

        Raises Interrupted on a stop.
        """
        found = find_artifact(self.engine, identity)
        if found is not None:
            return self._brought_here(found)
        with self.alone(identity):
            found = find_artifact(self.engine, identity)
            if found is None:
                found = make()
                store_artifact(self.engine, found)
            return self._brought_here(found)

    def _brought_here(self, found: Artifact) -> Artifact:
        """Return the artifact with a file below the folder: a launch with another one made it."""
        if found.path.is_relative_to(self.folder):
            return found
        here = self.folder / "artifacts" / f"{found.weights_hash}.pt"
        if not _is_sound(here, found.weights_hash):
            here.parent.mkdir(parents=True, exist_ok=True)
            aside = here.with_suffix(f".{uuid4().hex}.partial")
            shutil.copyfile(found.path, aside)
            aside.replace(here)
        return replace(found, path=here)

    @contextmanager
    def alone(self, identity: str) -> Iterator[None]:
        """Hold the lock of an artifact for as long as the block runs; Interrupted on a stop."""
        key = func.hashtextextended(identity, 0)
        with self.engine.connect() as connection:
            printed = False
            while not connection.scalar(select(func.pg_try_advisory_lock(key))):
                connection.commit()
                if not printed:
                    self.announce("another process is training what is needed here; waiting for it")
                    printed = True
                if self.stop.wait(LOCK_POLL_S):
                    raise Interrupted("stopped while waiting for another process")
            connection.commit()
            try:
                yield
            finally:
                with contextlib.suppress(SQLAlchemyError):  # a lost connection holds no lock
                    connection.scalar(select(func.pg_advisory_unlock(key)))
                    connection.commit()
