"""A task small enough to train in a test, and segments of it."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainers.tasks import Task
from trainers.training.cohort import Trainer
from trainers.training.segment import Control, Member, MemberOutcome, Outcome, Segment

STEPS = 6
NET = {
    "backbone": "mobilenet_v2",
    "backbone_width": 0.25,
    "output_stride": 16,
    "head_width": 8,
    "dropout": 0.3,
}
SCHEDULE = {"steps": STEPS, "image_batch": 3, "learning_rate": 0.02}
TASK = Task.model_validate(
    {
        "name": "tiny",
        "description": "For tests.",
        "data": {
            "reader": "shapes",
            "size": [32, 40],
            "options": {"seed": 1, "train": 10, "selection": 5, "test": 1},
        },
        "augmentation": {"crop": [32, 32]},
        "student": NET,
        "teacher": {"net": {**NET, "head_width": 12}, "schedule": {**SCHEDULE, "steps": 2}},
        "schedule": SCHEDULE,
        "search": {"rungs": ["1/3", 1], "keep": [8, 3], "bracket": 8},
    }
)

RESNET = {**NET, "backbone": "resnet18", "backbone_width": 0.125, "head": "pspnet"}
ADAMW = {**SCHEDULE, "optimizer": "adamw", "learning_rate": 0.004, "weight_decay": 0.01}
OTHER_TASK = Task.model_validate(  # the rest of what the tasks that come along are made of
    {
        **TASK.model_dump(),
        "name": "other",
        "student": RESNET,
        "teacher": {"net": {**RESNET, "head_width": 12}, "schedule": {**ADAMW, "steps": 2}},
        "schedule": ADAMW,
    }
)


def members(*methods: str, **params: float) -> tuple[Member, ...]:
    """Return one member a method, with keys as a driver gives them."""
    return tuple(
        Member(key=f"tiny/{method}#{number}", method=method, params=params)
        for number, method in enumerate(methods)
    )


def segment(folder: Path, who: Sequence[Member], **changes: Any) -> Segment:
    """Return a segment over the whole training, or with what `changes` says."""
    stop = {"start": 0, "stop": STEPS, "evaluate": True}
    common = {"task": TASK, "seed": 3, "folder": folder, "members": tuple(who)}
    return Segment(**{**common, **stop, **changes})


def resumed(before: Segment, outcome: Outcome, **changes: Any) -> Segment:
    """Return the segment that goes on where `outcome` ended, to the last step."""
    files = {member.key: member.checkpoint for member in outcome.members}
    who = tuple(
        dataclasses.replace(member, checkpoint=files[member.key]) for member in before.members
    )
    start = outcome.members[0].step
    changes = {"start": start, "stop": STEPS, "max_seconds": None, **changes}
    return dataclasses.replace(before, members=who, **changes)


def digits(outcome: MemberOutcome) -> tuple[object, ...]:
    """Return all of a member's outcome that has to repeat bit by bit."""
    return outcome.ending, outcome.step, outcome.weights_hash, outcome.score, outcome.class_iou


def flipped(content: bytes, chance: random.Random) -> bytes:
    """Return the bytes with one bit changed."""
    place = chance.randrange(8 * len(content))
    changed = bytearray(content)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def train_teacher(folder: Path, task: Task = TASK) -> Path:
    """Return the weights of a tiny task's teacher."""
    task = task.teacher_task()
    who = members("baseline")
    outcome = Trainer().run(segment(folder, who, task=task, stop=task.schedule.steps))
    [teacher] = outcome.members
    if teacher.checkpoint is None:
        raise ValueError(f"the tiny teacher came to nothing: {teacher}")
    return teacher.checkpoint


class StopAfter(Control):
    """Wants to stop once so many steps were reported."""

    def __init__(self, steps: int) -> None:
        seen: list[int] = []
        super().__init__(on_progress=seen.append, should_stop=lambda: len(seen) >= steps)
