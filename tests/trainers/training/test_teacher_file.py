"""Which teacher a task means, and what a file of its weights may look like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.tiny_task import TASK
from trainers.errors import CheckpointError, TaskError
from trainers.models import SegmentationNet
from trainers.tasks import Task
from trainers.training.checkpoints import read
from trainers.training.teacher_file import load_teacher

CLASSES = 6
Weights = dict[str, Any]


def loaded(file: Path, task: Task = TASK) -> SegmentationNet:
    return load_teacher(task, file, CLASSES, torch.device("cpu"))


def test_a_trained_teacher_is_loaded_frozen_and_in_evaluation_mode(teacher: Path) -> None:
    net = loaded(teacher)
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())
    stored = read(teacher)["student"]
    assert all(torch.equal(value, stored[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: weights,
        lambda weights: {"state_dict": weights, "epoch": 3},
        lambda weights: {"model": {f"module.{name}": x for name, x in weights.items()}},
    ],
)
def test_a_state_dict_of_somebody_else_is_taken(
    wrap: Callable[[Weights], Weights], teacher: Path, tmp_path: Path
) -> None:
    torch.save(wrap(read(teacher)["student"]), tmp_path / "foreign.pt")
    assert loaded(tmp_path / "foreign.pt").num_classes == CLASSES


def without_classifier(weights: Weights) -> Weights:
    return {name: x for name, x in weights.items() if "classifier" not in name}


def of_four_classes(weights: Weights) -> Weights:
    return {**weights, "classifier.weight": weights["classifier.weight"][:4]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_classifier, r"2 missing \(classifier.weight, classifier.bias\)"),
        (lambda weights: {**weights, "extra": torch.ones(1)}, r"1 unknown \(extra\)"),
        (of_four_classes, r"1 of another shape \(classifier.weight\)"),
        (lambda _: {f"net{i}": 0 for i in range(9)}, r"9 unknown \(net0, net1, net2, net3, "),
    ],
)
def test_weights_of_another_net_are_refused_with_their_names(
    change: Callable[[Weights], Weights], words: str, teacher: Path, tmp_path: Path
) -> None:
    torch.save(change(read(teacher)["student"]), tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match=words):
        loaded(tmp_path / "foreign.pt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.pt: cannot be read"):
        loaded(tmp_path / "nowhere.pt")


def test_a_task_without_a_teacher_takes_none(teacher: Path) -> None:
    with pytest.raises(TaskError, match="tiny-teacher has no teacher"):
        loaded(teacher, TASK.teacher_task())
