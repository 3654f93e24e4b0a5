"""On a GPU in deterministic mode the same promises hold bit by bit as on a CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import digits, members, resumed, segment

from trainers.cohort import Trainer
from trainers.segment import Outcome

METHODS = ("baseline", "kd", "rdd")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


@pytest.fixture(scope="module")
def whole(trainer: Trainer, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("gpu")
    who = members(*METHODS)
    return trainer.run(segment(folder, who, teacher=teacher, device="cuda", deterministic=True))


@pytest.mark.parametrize("number", range(len(METHODS)))
def test_a_member_on_a_gpu_does_not_depend_on_its_cohort(
    number: int, whole: Outcome, trainer: Trainer, teacher: Path, tmp_path: Path
) -> None:
    who = members(*METHODS)[number : number + 1]
    alone = trainer.run(segment(tmp_path, who, teacher=teacher, device="cuda", deterministic=True))
    assert digits(alone.members[0]) == digits(whole.members[number])


def test_resuming_on_a_gpu_changes_nothing(
    whole: Outcome, trainer: Trainer, teacher: Path, tmp_path: Path
) -> None:
    first = segment(
        tmp_path,
        members(*METHODS),
        teacher=teacher,
        device="cuda",
        deterministic=True,
        stop=2,
    )
    rest = trainer.run(resumed(first, trainer.run(first)))
    assert [digits(member) for member in rest.members] == [digits(m) for m in whole.members]


def test_the_fast_mode_of_a_gpu_trains_too(trainer: Trainer, teacher: Path, tmp_path: Path) -> None:
    outcome = trainer.run(segment(tmp_path, members(*METHODS), teacher=teacher, device="cuda"))
    assert all(member.miou is not None for member in outcome.members)
    assert outcome.device_name == torch.cuda.get_device_name()
