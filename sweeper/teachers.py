"""Teachers: trained once, found again by the hash of all that determines them, shared by sweeps."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import ProtocolMismatch, SweeperError
from sweeper.store.schema import artifact, sweep
from sweeper.sweep import Workplace
from trainers.cohort import Trainer
from trainers.journal import detail
from trainers.segment import Control, Ending, Runs
from trainers.single import Configuration, train
from trainers.tasks import Task
from trainers.teacher import TEACHER_METHOD, TEACHER_SEED, teacher_identity
from trainers.terminal import Progress

LOCK_POLL_S = 2.0
Announce = Callable[[str], None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A trained teacher."""

    hash: str  # of everything that determines it
    weights_hash: str
    path: Path
    origin: str  # "trained", or the file it was taken from
    miou: float  # percent, selection split


@dataclass(frozen=True, kw_only=True)
class School:
    """What it takes to find or train the teacher of a task."""

    engine: Engine
    task: Task
    fingerprint: str  # of the data
    workplace: Workplace
    stop: threading.Event
    announce: Announce
    deterministic: bool = False

    @property
    def hash(self) -> str:
        """The identity of the task's teacher."""
        return teacher_identity(self.task, self.fingerprint, TEACHER_SEED)

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.workplace.checkpoints / "teachers" / self.hash[:16]


class Interrupted(SweeperError):
    """A stop was asked for; what was done is saved."""


def find_teacher(engine: Engine, identity: str) -> Teacher | None:
    """Return the stored teacher of that identity, if its file is still there."""
    with engine.connect() as connection:
        row = connection.execute(select(artifact).where(artifact.c.hash == identity)).one_or_none()
    if row is None or not Path(row.path).is_file():
        return None
    return Teacher(
        hash=row.hash,
        weights_hash=row.weights_hash,
        path=Path(row.path),
        origin=row.origin,
        miou=row.metrics["miou"],
    )


def ensure_teacher(school: School, trainer: Runs) -> Teacher:
    """Return the task's teacher; train it, or go on training it, where there is none.

    One process at a time trains a teacher; others wait for it. Raises Interrupted on a stop.
    """
    found = find_teacher(school.engine, school.hash)
    if found is not None:
        return found
    with _lock(school):
        found = find_teacher(school.engine, school.hash)
        return found or _train(school, trainer)


def adopt_teacher(school: School, trainer: Trainer, file: Path) -> Teacher:
    """Take the weights in `file` as the task's teacher, scored on the selection split.

    CheckpointError where they do not fit the task's net; SweeperError where the task has another
    teacher already, since sweeps may have learnt from it.
    """
    place = school.workplace
    score = trainer.score_teacher(school.task, file, place.data_root, place.device)
    with _lock(school):
        found = find_teacher(school.engine, school.hash)
        if found is not None and found.weights_hash != score.weights_hash:
            raise SweeperError(
                f"{school.task.name} has a teacher already ({found.origin}: {found.path}); another "
                "one would be another task: copy the task's TOML file under a new name"
            )
        kept = school.folder / "adopted.pt"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, kept.with_suffix(".partial"))
        kept.with_suffix(".partial").replace(kept)
        teacher = Teacher(
            hash=school.hash,
            weights_hash=score.weights_hash,
            path=kept,
            origin=str(file.absolute()),
            miou=score.miou,
        )
        store_teacher(school, teacher)
    return teacher


def freeze_teacher(engine: Engine, sweep_id: int, teacher: Teacher) -> None:
    """Bind a sweep to its teacher; ProtocolMismatch when it began with other weights."""
    with engine.begin() as connection:
        connection.execute(
            update(sweep)
            .where(sweep.c.id == sweep_id, sweep.c.teacher_hash.is_(None))
            .values(teacher_hash=teacher.weights_hash)
        )
        row = connection.execute(select(sweep).where(sweep.c.id == sweep_id)).one()
    if row.teacher_hash != teacher.weights_hash:
        raise ProtocolMismatch(
            f"sweep {row.name} was begun under a teacher with weights {row.teacher_hash[:12]}, "
            f"the task's is now {teacher.weights_hash[:12]} ({teacher.path}); "
            "put the old file back, or use another --sweep NAME"
        )
    said = {"miou": teacher.miou, "origin": teacher.origin, "file": teacher.path}
    logger.info("teacher", extra=detail(**said, weights_hash=teacher.weights_hash))


def store_teacher(school: School, teacher: Teacher) -> None:
    """Record a teacher in the database."""
    values: dict[str, Any] = {
        "kind": "teacher",
        "origin": teacher.origin,
        "identity": {"task": school.task.identity(), "data": school.fingerprint},
        "path": str(teacher.path),
        "weights_hash": teacher.weights_hash,
        "metrics": {"miou": teacher.miou},
    }
    with school.engine.begin() as connection:
        connection.execute(
            insert(artifact)
            .values(hash=teacher.hash, **values)
            .on_conflict_do_update(index_elements=["hash"], set_=values)
        )


@contextmanager
def _lock(school: School) -> Iterator[None]:
    """Hold the lock of this teacher for as long as the block runs."""
    key = func.hashtextextended(school.hash, 0)
    with school.engine.connect() as connection:
        told = False
        while not connection.scalar(select(func.pg_try_advisory_lock(key))):
            connection.commit()
            if not told:
                school.announce("another process is training this teacher; waiting for it")
                told = True
            if school.stop.wait(LOCK_POLL_S):
                raise Interrupted("stopped while waiting for the teacher")
        connection.commit()
        try:
            yield
        finally:
            with contextlib.suppress(SQLAlchemyError):  # a lost connection holds no lock
                connection.scalar(select(func.pg_advisory_unlock(key)))
                connection.commit()


def _train(school: School, trainer: Runs) -> Teacher:
    configuration = _configuration(school)
    steps = configuration.task.schedule.steps
    start, _ = configuration.stored()
    school.announce(f"teacher of {school.task.name}: training it, steps {start} to {steps}, once")
    logger.info("teacher is trained", extra=detail(start=start, steps=steps))
    progress = Progress(steps, start, school.announce)
    control = Control(on_progress=progress, should_stop=school.stop.is_set)
    outcome = train(configuration, trainer, control)
    if outcome.ending is not Ending.REACHED:
        raise SweeperError(
            f"the teacher of {school.task.name} {outcome.ending} at step {outcome.step}: "
            f"{outcome.reason or 'a loss was not finite'}; change [teacher.schedule] in the task"
        )
    if outcome.miou is None or outcome.checkpoint is None:
        raise Interrupted(f"stopped at step {outcome.step} of the teacher's {steps}; it is saved")
    teacher = Teacher(
        hash=school.hash,
        weights_hash=str(outcome.weights_hash),
        path=outcome.checkpoint,
        origin="trained",
        miou=outcome.miou,
    )
    store_teacher(school, teacher)
    return teacher


def _configuration(school: School) -> Configuration:
    return Configuration(
        task=school.task.teacher_task(),
        method=TEACHER_METHOD,
        params={},
        seed=TEACHER_SEED,
        folder=school.folder,
        key="teacher",
        data_root=school.workplace.data_root,
        device=school.workplace.device,
        deterministic=school.deterministic,
    )
