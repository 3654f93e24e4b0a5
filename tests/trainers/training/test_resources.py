"""What stays loaded from one segment to the next, and what is loaded anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.trainers.tiny_task import members, segment
from trainers.data.batches import IMAGENET
from trainers.training.resources import ResourceCache, SingleSlotCache, normalisation_of


def test_a_slot_holds_the_last_thing_made_and_no_other() -> None:
    made: list[int] = []

    def make() -> list[int]:
        made.append(len(made))
        return made[-1:]

    slot: SingleSlotCache[list[int]] = SingleSlotCache()
    keys = ("a", "a", "b", "a")
    assert [slot.get(key, make) for key in keys] == [[0], [0], [1], [2]]


def test_segments_of_one_kind_share_data_and_teacher(teacher: Path, tmp_path: Path) -> None:
    cache = ResourceCache()
    asked = segment(tmp_path, members("kd"), teacher=teacher)
    first, second = cache.get(asked), cache.get(replace(asked, start=2))
    assert first.dataset is second.dataset
    assert first.batches is second.batches
    assert first.get_teacher() is second.get_teacher() is not None
    assert cache.get(replace(asked, seed=4)).batches is not first.batches


def test_a_confirmation_is_evaluated_on_the_report(tmp_path: Path) -> None:
    cache = ResourceCache()
    asked = segment(tmp_path, members("baseline"))
    selection, report = (
        cache.get(replace(asked, evaluation_split=split)) for split in ("selection", "report")
    )
    assert selection.evaluation_split.names == selection.dataset.selection.names
    assert report.evaluation_split.names == report.dataset.report.names
    assert sum(len(labels) for _, labels in report.evaluation_batches()) == 1
    assert selection.get_teacher() is None


def test_images_are_normalised_as_the_teachers_weights_want(tmp_path: Path) -> None:
    asked = segment(tmp_path, members("baseline"))
    dataset = ResourceCache().dataset(asked.task.data, None)
    assert normalisation_of(asked.task, dataset).mean == dataset.mean
    assert asked.task.teacher is not None
    net = asked.task.teacher.net.model_copy(update={"weights": "imagenet"})
    teacher = asked.task.teacher.model_copy(update={"net": net})
    task = asked.task.model_copy(update={"teacher": teacher})
    assert normalisation_of(task, dataset) == IMAGENET
