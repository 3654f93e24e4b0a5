"""Teachers: trained once, found again by the hash of all that determines them, shared by sweeps."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select, update

from sweeper.core.errors import ProtocolMismatch, SweeperError
from sweeper.prerequisites.artifact_cache import (
    Announce,
    Artifact,
    Interrupted,
    Workshop,
    store_artifact,
    stored_artifact,
)
from sweeper.scheduler.state_machine import Workplace
from sweeper.store.row_digests import seal
from sweeper.store.schema import sweep
from trainers.runtime.json_log import detail
from trainers.runtime.terminal import Progress
from trainers.tasks import Task
from trainers.tasks.identity import TEACHER_METHOD, TEACHER_SEED, teacher_identity
from trainers.training.cohort import Trainer
from trainers.training.segment import Control, Ending, Runs
from trainers.training.single_run import Configuration, train
from trainers.training.teacher import copy_teacher

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Teacher(Artifact):
    """A trained teacher."""

    @property
    def miou(self) -> float:
        """Its score in percent on the selection split."""
        return self.metrics["miou"]


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
    def workshop(self) -> Workshop:
        """Where it is made."""
        return Workshop(
            engine=self.engine,
            folder=self.workplace.checkpoints,
            stop=self.stop,
            announce=self.announce,
        )

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.workplace.checkpoints / "teachers" / self.hash[:16]


def ensure_teacher(school: School, trainer: Runs) -> Teacher:
    """Return the task's teacher; train it, or go on training it, where there is none.

    One process at a time trains a teacher; others wait for it. Raises Interrupted on a stop.
    """
    found = school.workshop.ensure(school.hash, lambda: _train(school, trainer))
    return Teacher(**vars(found))


def adopt_teacher(school: School, trainer: Trainer, file: Path) -> Teacher:
    """Take the weights in `file` as the task's teacher, scored on the selection split.

    CheckpointError where they do not fit the task's net; SweeperError where the task has another
    teacher already, since sweeps may have learnt from it.
    """
    place = school.workplace
    score = trainer.score_teacher(school.task, file, place.data_root, place.device)
    with school.workshop.alone(school.hash):
        known = stored_artifact(school.engine, school.hash)
        if known is not None and known.weights_hash != score.weights_hash:
            raise SweeperError(
                f"{school.task.name} has a teacher already ({known.origin}: {known.path}); another "
                "one would be another task: copy the task's TOML file under a new name"
            )
        kept = school.folder / "adopted.pt"
        classes = trainer.dataset(school.task.data, place.data_root).num_classes
        if copy_teacher(school.task, file, kept, classes) != score.weights_hash:
            raise SweeperError(f"{file} was changed while it was read: give it again")
        if known is not None:  # sweeps are bound to what is on record; the file is the same
            teacher = Teacher(**vars(known) | {"path": kept})
        else:
            origin = str(file.absolute())
            teacher = _teacher(school, kept, origin, score.weights_hash, score.score)
        store_artifact(school.engine, teacher)
    return teacher


def freeze_teacher(engine: Engine, sweep_id: int, teacher: Teacher) -> None:
    """Bind a sweep to its teacher; ProtocolMismatch when it began with other weights."""
    with engine.begin() as connection:
        frozen = connection.execute(
            update(sweep)
            .where(sweep.c.id == sweep_id, sweep.c.teacher_hash.is_(None))
            .values(teacher_hash=teacher.weights_hash)
        )
        if frozen.rowcount:
            seal(connection, "teacher", sweep_id)
        row = connection.execute(select(sweep).where(sweep.c.id == sweep_id)).one()
    if row.teacher_hash != teacher.weights_hash:
        raise ProtocolMismatch(
            f"sweep {row.name} was begun under a teacher with weights {row.teacher_hash[:12]}, "
            f"the task's is now {teacher.weights_hash[:12]} ({teacher.path}); "
            "put the old file back, or use another --sweep NAME"
        )
    said = {"miou": teacher.miou, "origin": teacher.origin, "file": teacher.path}
    logger.info("teacher", extra=detail(**said, weights_hash=teacher.weights_hash))


def _teacher(school: School, path: Path, origin: str, weights_hash: str, miou: float) -> Teacher:
    return Teacher(
        hash=school.hash,
        kind="teacher",
        origin=origin,
        identity={"task": school.task.identity(), "data": school.fingerprint},
        path=path,
        weights_hash=weights_hash,
        metrics={"miou": miou},
    )


def _train(school: School, trainer: Runs) -> Teacher:
    configuration = _configuration(school)
    _check_origin(school)
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
    if outcome.score is None or outcome.checkpoint is None:
        raise Interrupted(f"stopped at step {outcome.step} of the teacher's {steps}; it is saved")
    return _teacher(school, outcome.checkpoint, "trained", str(outcome.weights_hash), outcome.score)


def _check_origin(school: School) -> None:
    """Refuse to train a teacher in place of one that was taken from a file: it would be another."""
    lost = stored_artifact(school.engine, school.hash)
    if lost is not None and lost.origin != "trained":
        raise SweeperError(
            f"the teacher of {school.task.name} was taken from {lost.origin}, and its copy "
            f"{lost.path} is gone or damaged: sweeper teacher --task {school.task.name} --from FILE"
        )


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
