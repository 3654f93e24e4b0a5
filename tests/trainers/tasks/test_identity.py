"""Which trainings are the same: hashes of tasks and teachers."""

from __future__ import annotations

import pytest

from tests.trainers.tiny_task import TASK
from trainers.tasks.identity import teacher_identity


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"name": "other"}, True),
        ({"student": TASK.student.model_copy(update={"head_width": 9})}, True),
        ({"search": TASK.search.model_copy(update={"anchors": 0})}, True),
        ({"augmentation": TASK.augmentation.model_copy(update={"flip": False})}, False),
        ({"threads": 2}, False),
    ],
)
def test_tasks_share_a_teacher_exactly_if_it_is_trained_alike(
    change: dict[str, object], is_same: bool
) -> None:
    other = TASK.model_copy(update=change)
    assert (teacher_identity(other, "f", 0) == teacher_identity(TASK, "f", 0)) is is_same


def test_a_teacher_belongs_to_its_data_and_its_seed() -> None:
    identities = {teacher_identity(TASK, data, seed) for data in "fg" for seed in (0, 1)}
    assert len(identities) == 4
