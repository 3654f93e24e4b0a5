"""Pictures of predictions: made at the last step alone, by the weights alone, and never needed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainers.tiny_task import STEPS, TASK, digits, members, segment
from trainers.data import load_dataset
from trainers.data.preview_sheet import WIDTH
from trainers.training.cohort import Trainer
from trainers.training.previews import Previews
from trainers.training.resources import normalisation_of
from trainers.training.segment import Outcome


@pytest.fixture(scope="module")
def outcome(trainer: Trainer, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("pictured")
    return trainer.run(segment(folder, members("baseline", "kd"), teacher=teacher))


def test_a_picture_can_be_opened_and_is_small(outcome: Outcome) -> None:
    for member in outcome.members:
        assert member.picture is not None and len(member.picture) < 20_000
        with Image.open(io.BytesIO(member.picture)) as picture:
            assert (picture.format, picture.mode) == ("PNG", "P") and picture.width <= WIDTH


def test_the_teacher_stands_beside_the_students_that_have_one(outcome: Outcome) -> None:
    widths = [Image.open(io.BytesIO(member.picture or b"")).width for member in outcome.members]
    assert widths[1] > widths[0]


def test_equal_weights_give_equal_pictures_whatever_the_cohort(
    outcome: Outcome, teacher: Path, tmp_path: Path
) -> None:
    for number, pictured in enumerate(outcome.members):
        [member] = members("baseline", "kd")[number : number + 1]
        alone = Trainer().run(segment(tmp_path, [member], teacher=teacher)).members[0]
        assert alone.weights_hash == pictured.weights_hash
        assert alone.picture == pictured.picture


def test_only_the_last_step_is_pictured(trainer: Trainer, tmp_path: Path) -> None:
    [member] = trainer.run(segment(tmp_path, members("baseline"), stop=STEPS - 1)).members
    assert member.score is not None and member.picture is None


def test_a_picture_that_cannot_be_drawn_is_a_note_and_nothing_else(
    outcome: Outcome, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainers.training.previews.NUM_IMAGES", 0)
    bare = Trainer().run(segment(tmp_path, members("baseline", "kd"), teacher=teacher))
    assert [digits(member) for member in bare.members] == [digits(m) for m in outcome.members]
    assert [member.picture for member in bare.members] == [None, None]
    assert [note.partition(":")[0] for note in bare.notes] == [
        "no picture of tiny/baseline#0",
        "no picture of tiny/kd#1",
    ]


def test_a_teacher_is_asked_once() -> None:
    dataset = load_dataset(TASK.data, None)
    previews = Previews(dataset, dataset.selection, normalisation_of(TASK, dataset))
    asked: list[int] = []

    def predict(images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        return images.new_zeros(len(images), dataset.num_classes, 4, 5)

    pictures = [previews.draw(predict, ("a teacher", predict)) for _ in range(3)]
    assert np.unique(pictures).size == 1
    assert asked == [3] * (3 + 1)
