"""A member's state: what it starts from, what it stores, what is restored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainers.tiny_task import TASK, StopAfter, digits, members, resumed, segment
from trainers.models import build_net
from trainers.training.cohort import Trainer
from trainers.training.segment import Ending, Outcome

METHODS = ("baseline", "kd", "rdd")


@pytest.fixture(scope="module")
def undisturbed(
    trainer: Trainer, teacher: Path, tmp_path_factory: pytest.TempPathFactory
) -> Outcome:
    folder = tmp_path_factory.mktemp("undisturbed")
    return trainer.run(segment(folder, members(*METHODS), teacher=teacher))


def test_weights_from_outside_are_read_once(trainer: Trainer, tmp_path: Path) -> None:
    file = tmp_path / "backbone.pt"
    torch.save(build_net(TASK.student, 6).backbone.trunk.state_dict(), file)
    student = TASK.student.model_copy(update={"weights": str(file)})
    task = TASK.model_copy(update={"student": student, "teacher": None})
    first = segment(tmp_path, members("baseline"), task=task, stop=2, evaluate=False)
    before = trainer.run(first)
    file.unlink()
    [rest] = trainer.run(resumed(first, before)).members
    assert rest.ending is Ending.REACHED


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_optimisers_state_is_restored_exactly(
    optimizer: str, trainer: Trainer, tmp_path: Path
) -> None:
    schedule = TASK.schedule.model_copy(update={"optimizer": optimizer, "weight_decay": 0.01})
    task = TASK.model_copy(update={"schedule": schedule})
    first = segment(tmp_path, members("baseline"), task=task)
    whole = trainer.run(first)
    rest = trainer.run(resumed(first, trainer.run(first, StopAfter(3))))
    assert digits(rest.members[0]) == digits(whole.members[0])


def test_only_what_goes_on_keeps_its_optimisers_state(
    trainer: Trainer, undisturbed: Outcome, tmp_path: Path
) -> None:
    half = trainer.run(segment(tmp_path, members("baseline"), stop=2)).members[0].checkpoint
    whole = undisturbed.members[0].checkpoint
    assert half is not None and whole is not None
    assert whole.stat().st_size < 0.7 * half.stat().st_size


def test_a_method_without_a_teacher_does_not_look_at_the_file(
    trainer: Trainer, undisturbed: Outcome, tmp_path: Path
) -> None:
    alone = trainer.run(segment(tmp_path, members("baseline"), teacher=Path("nowhere.pt")))
    assert digits(alone.members[0]) == digits(undisturbed.members[0])


def test_a_method_that_wants_a_teacher_fails_alone_without_one(
    trainer: Trainer, tmp_path: Path
) -> None:
    outcome = trainer.run(segment(tmp_path, members("baseline", "kd"), stop=1))
    baseline, kd = outcome.members
    assert (baseline.ending, kd.ending) == (Ending.REACHED, Ending.FAILED)
    assert kd.reason is not None and "method kd needs a teacher" in kd.reason.splitlines()[0]
