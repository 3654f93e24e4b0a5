"""On a GPU in deterministic mode the same promises hold bit by bit as on a CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainers.tiny_task import (
    OTHER_TASK,
    TASK,
    digits,
    members,
    resumed,
    segment,
    train_teacher,
)
from trainers.training.cohort import Trainer
from trainers.training.segment import Outcome, Segment

METHODS = ("baseline", "kd", "rdd")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


@pytest.fixture(scope="module", params=[TASK, OTHER_TASK], ids=lambda task: task.name)
def first(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Segment:
    """Return the segment of a whole training on a GPU in deterministic mode."""
    folder = tmp_path_factory.mktemp("gpu")
    return segment(
        folder,
        members(*METHODS),
        task=request.param,
        teacher=train_teacher(folder, request.param),
        device="cuda",
        deterministic=True,
    )


@pytest.fixture(scope="module")
def whole(first: Segment, trainer: Trainer) -> Outcome:
    return trainer.run(first)


@pytest.mark.parametrize("number", range(len(METHODS)))
def test_a_member_on_a_gpu_does_not_depend_on_its_cohort(
    number: int, first: Segment, whole: Outcome, trainer: Trainer, tmp_path: Path
) -> None:
    alone = trainer.run(replace(first, folder=tmp_path, members=(first.members[number],)))
    assert digits(alone.members[0]) == digits(whole.members[number])


def test_resuming_on_a_gpu_changes_nothing(
    first: Segment, whole: Outcome, trainer: Trainer, tmp_path: Path
) -> None:
    part = replace(first, folder=tmp_path, stop=2)
    rest = trainer.run(resumed(part, trainer.run(part)))
    assert [digits(member) for member in rest.members] == [digits(m) for m in whole.members]


def test_the_fast_mode_of_a_gpu_trains_too(
    first: Segment, trainer: Trainer, tmp_path: Path
) -> None:
    outcome = trainer.run(replace(first, folder=tmp_path, deterministic=False))
    assert all(member.score is not None for member in outcome.members)
    assert outcome.device_name == torch.cuda.get_device_name()
