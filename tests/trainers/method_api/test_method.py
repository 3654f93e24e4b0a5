"""The base class of methods: weighted terms on top of the task loss, and what a step must have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trainers.contract.sample_steps import STUDENT, TEACHER
from trainers.errors import MethodError
from trainers.method_api.method import MemoryBank, Method, Step
from trainers.models.outputs import Outputs

MakeStep = Callable[..., Step]


class Two(Method):
    """Two terms of known values."""

    terms = ("one", "ten")

    def one(self, step: Step) -> Tensor:
        return step.student.logits.sum() * 0 + 1

    def ten(self, step: Step) -> Tensor:
        return step.student.logits.sum() * 0 + 10


def test_the_total_is_the_task_loss_plus_each_term_times_its_weight(make_step: MakeStep) -> None:
    step = make_step()
    method = Two({"one": 2.0, "ten": 0.5}, STUDENT, TEACHER)
    expected = method.task_loss(step, 0.4) + 2.0 * 1 + 0.5 * 10
    torch.testing.assert_close(method.total(step, 0.4), expected)


def test_a_term_of_weight_0_is_not_computed(make_step: MakeStep) -> None:
    method = Two({"one": 2.0, "ten": 0.0}, STUDENT, TEACHER)
    assert method.active == ("one",)
    assert set(method.losses(make_step())) == {"one"}


def test_what_is_missing_is_named(make_step: MakeStep) -> None:
    method = Two({"one": 1.0, "ten": 1.0}, STUDENT, TEACHER)
    with pytest.raises(MethodError, match="Two needs its preparation"):
        _ = method.prepared
    with pytest.raises(MethodError, match="needs a teacher"):
        _ = replace(make_step(), teacher=None).teacher_outputs


def test_memory_banks_of_equal_settings_have_one_key() -> None:
    class Bank(MemoryBank):
        def update(self, teacher: Outputs, labels_BHW: Tensor) -> None:
            del teacher, labels_BHW

    assert Bank(size=3, classes=2).key == Bank(classes=2, size=3).key != Bank(size=4, classes=2).key
