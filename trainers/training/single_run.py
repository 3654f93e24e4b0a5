"""Training one configuration from the first step to the last, without a service."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from trainers.data import Dataset
from trainers.errors import CheckpointError
from trainers.method_api.loading import load_method, preparation_name
from trainers.method_api.registry import code_hash
from trainers.method_api.space_file import Hyperparameters
from trainers.runtime.numerics import NUMERICS_VERSION
from trainers.tasks import Task
from trainers.tasks.identity import (
    TEACHER_METHOD,
    TEACHER_SEED,
    digest,
    task_hash,
    teacher_identity,
)
from trainers.training.checkpoints import latest, read_ours, stored
from trainers.training.segment import (
    CHECKPOINT_SECONDS,
    MAX_DAMAGES,
    Control,
    Ending,
    Member,
    MemberOutcome,
    Runs,
    Segment,
    memory_bank_file,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One member to train to the end, with what, and in which folder."""

    task: Task
    method: str
    params: Hyperparameters
    seed: int
    folder: Path
    key: str = "student"
    data_root: Path | None = None
    device: str = "cpu"
    deterministic: bool = False
    teacher: Path | None = None
    preparations: Mapping[str, Path] = field(default_factory=dict)
    hashes: Mapping[Path, str] = field(default_factory=dict)  # weights that those files must hold
    prepares: bool = False  # train the method's preparation, not a student
    stop: int | None = None  # step to end at, without an evaluation; None: the last, evaluated

    @property
    def last(self) -> int:
        """The step to end at."""
        return self.task.schedule.steps if self.stop is None else self.stop

    @property
    def is_evaluated(self) -> bool:
        """Whether it ends with a score."""
        return self.stop is None and not self.prepares

    def stored(self) -> tuple[int, Path | None]:
        """Return the last step stored in the folder and its checkpoint; (0, None) without any.

        One that is damaged counts as missing.
        """
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
    content += [_file_hash(file) for _, file in sorted(student.preparations.items())]
    return f"{task.name}-{method}-{digest(content)[:8]}"


def _file_hash(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read: {error.strerror}") from error


def teacher_of(student: Configuration, dataset: Dataset, output: Path) -> Configuration:
    """Return the configuration that trains the student's teacher, kept below `output`."""
    task = student.task
    identity = teacher_identity(task, dataset.fingerprint, TEACHER_SEED)
    return replace(
        student,
        task=task.teacher_task(),
        method=TEACHER_METHOD,
        params={},
        seed=TEACHER_SEED,
        folder=output / "teachers" / identity[:16],
        key="teacher",
    )


def preparation_of(student: Configuration, dataset: Dataset, output: Path) -> Configuration | None:
    """Return the configuration that trains what the student's method has to have prepared.

    None where it has nothing of the kind. CheckpointError where its teacher cannot be read.
    """
    kind = load_method(student.method)
    name = preparation_name(kind)
    if kind.preparation is None or name is None or student.teacher is None:
        return None
    image_batch = student.task.preparation_task(1).schedule.image_batch
    steps = max(1, math.ceil(kind.preparation.epochs * len(dataset.train) / image_batch))
    task = student.task.preparation_task(steps)
    content = [task_hash(task), name, code_hash(name), dataset.fingerprint, NUMERICS_VERSION]
    identity = digest([*content, _file_hash(student.teacher)])
    return replace(
        student,
        task=task,
        method=name,
        params={},
        seed=TEACHER_SEED,
        folder=output / "preparations" / f"{name}-{identity}",
        key="preparation",
        preparations={},
        prepares=True,
    )


def train(configuration: Configuration, trainer: Runs, control: Control) -> MemberOutcome:
    """Train from the last checkpoint in the folder, or from the start, to where it is to end.

    Ends earlier when `control` asks for it; the outcome's checkpoint is where to go on. Of the
    checkpoints only the last is kept; one that cannot be used is removed. CheckpointError where
    that happens more than MAX_DAMAGES times.
    """
    step, file = configuration.stored()
    if file is not None and step == configuration.last and not configuration.is_evaluated:
        return _reached(configuration, file)
    damages = 0
    while True:
        segment = _segment(configuration, step, file)
        [member] = trainer.run(segment, control).members
        if file is not None and member.damaged in (file, memory_bank_file(file)):
            damages += 1
            _give_up(file, str(member.reason), damages)
            step, file = configuration.stored()
            continue
        if member.ending is not Ending.REACHED:
            return member
        for other in stored(configuration.folder, configuration.key):
            if other != member.checkpoint:
                _remove(other)
        step, file = member.step, member.checkpoint
        if step == segment.stop or control.should_stop():
            return member


def _reached(configuration: Configuration, file: Path) -> MemberOutcome:
    """Return the outcome of a training whose last checkpoint was there already."""
    return MemberOutcome(
        key=configuration.key,
        ending=Ending.REACHED,
        step=configuration.last,
        seconds=0.0,
        checkpoint=file,
        weights_hash=read_ours(file)["weights_hash"],
    )


def _give_up(file: Path, why: str, times: int) -> None:
    """Remove a checkpoint that cannot be used; CheckpointError where that happens time and again.

    The training goes on from an earlier one.
    """
    if times > MAX_DAMAGES:
        raise CheckpointError(
            f"{why}; it is the {times}th checkpoint there that cannot be used: see to the disk of "
            f"{file.parent}"
        )
    logger.warning("%s; training goes on from before it", why)
    _remove(file)


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
    memory_bank_file(file).unlink(missing_ok=True)


def _segment(configuration: Configuration, step: int, file: Path | None) -> Segment:
    member = Member(
        key=configuration.key,
        method=configuration.method,
        params=configuration.params,
        checkpoint=file,
        prepares=configuration.prepares,
    )
    return Segment(
        task=configuration.task,
        seed=configuration.seed,
        start=step,
        stop=configuration.last,
        evaluate=configuration.is_evaluated,
        members=(member,),
        folder=configuration.folder,
        teacher=configuration.teacher,
        preparations=configuration.preparations,
        hashes=configuration.hashes,
        data_root=configuration.data_root,
        device=configuration.device,
        deterministic=configuration.deterministic,
        max_seconds=CHECKPOINT_SECONDS,
    )
