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
    ArtifactCache,
    Interrupted,
    store_artifact,
    stored_artifact,
)
from sweeper.scheduler.driver_config import DriverConfig
from sweeper.store.row_digests import add_digest
from sweeper.store.schema import sweep
from trainers.runtime.json_log import detail
from trainers.runtime.terminal import Progress
from trainers.tasks import Task
from trainers.tasks.identity import TEACHER_METHOD, TEACHER_SEED, teacher_identity
from trainers.training.cohort import Trainer
from trainers.training.segment import Control, Ending, Runs
from trainers.training.single_run import Configuration, train
from trainers.training.teacher_file import copy_teacher

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Teacher(Artifact):
    """A trained teacher."""

    @property
    def score(self) -> float:
        """Its score in percent on the selection split."""
        return self.metrics["score"]


@dataclass(frozen=True, kw_only=True)
class TeacherContext:
    """What it takes to find or train the teacher of a task."""

    engine: Engine
    task: Task
    fingerprint: str  # of the data
    driver_config: DriverConfig
    stop: threading.Event
    announce: Announce
    deterministic: bool = False

    @property
    def hash(self) -> str:
        """The identity of the task's teacher."""
        return teacher_identity(self.task, self.fingerprint, TEACHER_SEED)

    @property
    def artifact_cache(self) -> ArtifactCache:
        """Where it is made."""
        return ArtifactCache(
            engine=self.engine,
            folder=self.driver_config.checkpoints,
            stop=self.stop,
            announce=self.announce,
        )

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.driver_config.checkpoints / "teachers" / self.hash[:16]


def ensure_teacher(context: TeacherContext, trainer: Runs) -> Teacher:
    """Return the task's teacher; train it, or go on training it, where there is none.

    One process at a time trains a teacher; others wait for it. Raises Interrupted on a stop.
    """
    found = context.artifact_cache.ensure(context.hash, lambda: _train(context, trainer))
    return Teacher(**vars(found))


def adopt_teacher(context: TeacherContext, trainer: Trainer, file: Path) -> Teacher:
    """Take the weights in `file` as the task's teacher, scored on the selection split.

    CheckpointError where they do not fit the task's net; SweeperError where the task has another
    teacher already, since sweeps may have learnt from it.
    """
    place = context.driver_config
    score = trainer.score_teacher(context.task, file, place.data_root, place.device)
    with context.artifact_cache.alone(context.hash):
        known = stored_artifact(context.engine, context.hash)
        if known is not None and known.weights_hash != score.weights_hash:
            raise SweeperError(
                f"{context.task.name} has a teacher already ({known.origin}: {known.path}); "
                "another one would be another task: copy the task's TOML file under a new name"
            )
        kept = context.folder / "adopted.pt"
        classes = trainer.dataset(context.task.data, place.data_root).num_classes
        if copy_teacher(context.task, file, kept, classes) != score.weights_hash:
            raise SweeperError(f"{file} was changed while it was read: give it again")
        if known is not None:  # sweeps are bound to what is on record; the file is the same
            teacher = Teacher(**vars(known) | {"path": kept})
        else:
            origin = str(file.absolute())
            teacher = _teacher(context, kept, origin, score.weights_hash, score.score)
        store_artifact(context.engine, teacher)
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
            add_digest(connection, "teacher", sweep_id)
        row = connection.execute(select(sweep).where(sweep.c.id == sweep_id)).one()
    if row.teacher_hash != teacher.weights_hash:
        raise ProtocolMismatch(
            f"sweep {row.name} was begun under a teacher with weights {row.teacher_hash[:12]}, "
            f"the task's is now {teacher.weights_hash[:12]} ({teacher.path}); "
            "put the old file back, or use another --sweep NAME"
        )
    said = {"score": teacher.score, "origin": teacher.origin, "file": teacher.path}
    logger.info("teacher", extra=detail(**said, weights_hash=teacher.weights_hash))


def _teacher(
    context: TeacherContext, path: Path, origin: str, weights_hash: str, score: float
) -> Teacher:
    return Teacher(
        hash=context.hash,
        kind="teacher",
        origin=origin,
        identity={"task": context.task.identity(), "data": context.fingerprint},
        path=path,
        weights_hash=weights_hash,
        metrics={"score": score},
    )


def _train(context: TeacherContext, trainer: Runs) -> Teacher:
    configuration = _configuration(context)
    _check_origin(context)
    steps = configuration.task.schedule.steps
    start, _ = configuration.stored()
    context.announce(f"teacher of {context.task.name}: training it, steps {start} to {steps}, once")
    logger.info("teacher is trained", extra=detail(start=start, steps=steps))
    progress = Progress(steps, start, context.announce)
    control = Control(on_progress=progress, should_stop=context.stop.is_set)
    outcome = train(configuration, trainer, control)
    if outcome.ending is not Ending.REACHED:
        raise SweeperError(
            f"the teacher of {context.task.name} {outcome.ending} at step {outcome.step}: "
            f"{outcome.reason or 'a loss was not finite'}; change [teacher.schedule] in the task"
        )
    if outcome.score is None or outcome.checkpoint is None:
        raise Interrupted(f"stopped at step {outcome.step} of the teacher's {steps}; it is saved")
    return _teacher(
        context, outcome.checkpoint, "trained", str(outcome.weights_hash), outcome.score
    )


def _check_origin(context: TeacherContext) -> None:
    """Refuse to train a teacher in place of one that was taken from a file: it would be another."""
    lost = stored_artifact(context.engine, context.hash)
    if lost is not None and lost.origin != "trained":
        raise SweeperError(
            f"the teacher of {context.task.name} was taken from {lost.origin}, and its copy "
            f"{lost.path} is gone or damaged: "
            f"sweeper teacher --task {context.task.name} --from FILE"
        )


def _configuration(context: TeacherContext) -> Configuration:
    return Configuration(
        task=context.task.teacher_task(),
        method=TEACHER_METHOD,
        params={},
        seed=TEACHER_SEED,
        folder=context.folder,
        key="teacher",
        data_root=context.driver_config.data_root,
        device=context.driver_config.device,
        deterministic=context.deterministic,
    )
