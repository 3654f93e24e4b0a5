"""Which training run something belongs to, as hashes; without torch, for a driver's sake."""

from __future__ import annotations

import hashlib
import json

from search_spaces import BASELINE
from trainers.runtime.numerics import NUMERICS_VERSION
from trainers.tasks import Task

TEACHER_METHOD = BASELINE  # a teacher is a member of its own task, trained on the labels alone
TEACHER_SEED = 0  # one teacher for every seed of its students, unless a driver gives another

NOT_TRAINING = {"name", "search", "shared"}  # how a task is searched changes no step


def task_hash(task: Task) -> str:
    """Return the sha256 of everything in the task that can change a training run."""
    content = {key: value for key, value in task.identity().items() if key not in NOT_TRAINING}
    return digest(content)


def teacher_identity(task: Task, fingerprint: str, seed: int) -> str:
    """Return the hash that names the teacher of `task`, for a data set and a seed.

    Tasks that differ in the student or the search alone have one teacher. TaskError where the task
    has none.
    """
    return digest([task_hash(task.teacher_task()), fingerprint, seed, NUMERICS_VERSION])


def digest(content: object) -> str:
    """Return the sha256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
