"""Training one configuration from the first step to the last, without a service."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from trainers.checkpoints import latest
from trainers.cohort import Trainer
from trainers.errors import CheckpointError
from trainers.identity import digest, task_hash
from trainers.methods import load_method
from trainers.numerics import NUMERICS_VERSION
from trainers.segment import (
    Control,
    Ending,
    Member,
    MemberOutcome,
    Parameters,
    Runs,
    Segment,
    memory_file,
)
from trainers.tasks import Task
from trainers.teacher import TEACHER_METHOD, TEACHER_SEED, teacher_identity

CHECKPOINT_SECONDS = 300.0  # of training between two checkpoints


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One member to train to the end, with what, and in which folder."""

    task: Task
    method: str
    params: Parameters
    seed: int
    folder: Path
    key: str = "student"
    data_root: Path | None = None
    device: str = "cpu"
    deterministic: bool = False
    teacher: Path | None = None

    def stored(self) -> tuple[int, Path | None]:
        """Return the last step stored in the folder and its checkpoint; (0, None) without any."""
        return latest(self.folder, self.key)


def folder_name(student: Configuration) -> str:
    """Return a name that no two configurations share which train differently on the same data.

    CheckpointError where the teacher that the method needs is a file that cannot be read.
    """
    task, method = student.task, student.method
    numerics = [NUMERICS_VERSION, student.deterministic]
    content = [task_hash(task), method, dict(student.params), student.seed, *numerics]
    if student.teacher is not None and load_method(method).needs_teacher:
        content.append(_file_hash(student.teacher))
    return f"{task.name}-{method}-{digest(content)[:8]}"


def _file_hash(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read: {error.strerror}") from error


def teacher_of(student: Configuration, trainer: Trainer, output: Path) -> Configuration:
    """Return the configuration that trains the student's teacher, kept below `output`."""
    task = student.task
    fingerprint = trainer.dataset(task.data, student.data_root).fingerprint
    identity = teacher_identity(task, fingerprint, TEACHER_SEED)
    return replace(
        student,
        task=task.teacher_task(),
        method=TEACHER_METHOD,
        params={},
        seed=TEACHER_SEED,
        folder=output / "teachers" / identity[:16],
        key="teacher",
    )


def train(configuration: Configuration, trainer: Runs, control: Control) -> MemberOutcome:
    """Train from the last checkpoint in the folder, or from the start, to the last step.

    Ends earlier when `control` says so; the outcome's checkpoint is where to go on. Of the
    checkpoints only the last is kept.
    """
    step, file = configuration.stored()
    while True:
        segment = _segment(configuration, step, file)
        [member] = trainer.run(segment, control).members
        if member.ending is not Ending.REACHED:
            return member
        if file is not None and file != member.checkpoint:
            file.unlink(missing_ok=True)
            memory_file(file).unlink(missing_ok=True)
        step, file = member.step, member.checkpoint
        if step == segment.stop or control.should_stop():
            return member


def _segment(configuration: Configuration, step: int, file: Path | None) -> Segment:
    key, method, params = configuration.key, configuration.method, configuration.params
    return Segment(
        task=configuration.task,
        seed=configuration.seed,
        start=step,
        stop=configuration.task.schedule.steps,
        evaluate=True,
        members=(Member(key=key, method=method, params=params, checkpoint=file),),
        folder=configuration.folder,
        teacher=configuration.teacher,
        data_root=configuration.data_root,
        device=configuration.device,
        deterministic=configuration.deterministic,
        max_seconds=CHECKPOINT_SECONDS,
    )
