"""Distances between classes, and positions, by hand and with loops."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest
import torch
from torch import Tensor

from trainers.method_api.method import Method, Step
from trainers.methods.idd import class_distance, coordinates

MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]


def plainly(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """Return the term with loops; labels are of the maps' size, each image has two classes."""
    losses = []
    for s, t, kinds in zip(student, teacher, labels, strict=True):
        present = [k for k in kinds.unique() if k != 255]
        centres = [torch.stack([x[:, kinds == k].mean(1) for k in present]) for x in (s, t)]
        pairs = list(permutations(range(len(present)), 2))
        apart = [torch.stack([(c[i] - c[j]).norm() for i, j in pairs]) for c in centres]
        losses.append((apart[0] - apart[1]).square().mean())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("num_classes", [2, 21])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_plain_computation_agrees_in_value_and_gradient(num_classes: int, batch: int) -> None:
    torch.manual_seed(0)
    student = torch.randn(batch, 4, 5, 7, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(batch, 6, 5, 7, dtype=torch.float64)
    labels = torch.randint(0, num_classes, (batch, 5, 7))
    labels[:, 2, ::2] = 255
    values = [
        class_distance(student, teacher, labels, num_classes),
        plainly(student, teacher, labels),
    ]
    slopes = [torch.autograd.grad(value, student)[0] for value in values]
    torch.testing.assert_close(values[0], values[1], rtol=1e-5, atol=0)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-7)


def test_two_classes_by_hand() -> None:
    student = torch.tensor([0.0, 3.0, 9.0]).view(1, 1, 1, 3)
    teacher = torch.tensor([[0.0, 3.0, 9.0], [0.0, 4.0, 9.0]]).view(1, 2, 1, 3)
    labels = torch.tensor([[[0, 1, 255]]])
    assert class_distance(student, teacher, labels, 3).item() == pytest.approx(4, rel=1e-4)
    assert class_distance(student, teacher, torch.tensor([[[0, 255, 255]]]), 3).item() == 0


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4])
@pytest.mark.parametrize("constant", [True, False])
def test_extremes_are_finite(scale: float, constant: bool) -> None:
    shape = (2, 3, 1, 1) if constant else (2, 3, 4, 6)
    student = (scale * torch.randn(shape)).expand(2, 3, 4, 6).contiguous().requires_grad_()
    labels = torch.randint(0, 4, (2, 8, 9))
    loss = class_distance(student, torch.randn(2, 5, 4, 6), labels, 4)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert scale > 1 or student.grad.abs().max() < 10


def test_coordinates_go_from_corner_to_corner() -> None:
    rows, columns = coordinates(torch.zeros(2, 5, 3, 2))[1]
    assert rows.tolist() == [[0, 0], [0.5, 0.5], [1, 1]]
    assert columns.tolist() == [[0, 1]] * 3


def test_the_locator_learns_from_the_teacher_alone(
    make_method: MakeMethod, make_step: MakeStep
) -> None:
    step, method = make_step(), make_method("idd")
    auxiliary = method.auxiliary_modules()["locator"]
    losses = []
    for _ in range(20):
        auxiliary.optimizer.zero_grad()
        loss = method.auxiliary_losses(step)["locator"]
        torch.autograd.backward(loss)
        auxiliary.optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert step.student.features["head"].grad is None
    assert step.teacher_outputs.features["head"].grad is None


def test_the_locator_is_built_only_where_its_term_counts(
    make_method: MakeMethod, make_step: MakeStep
) -> None:
    silent = make_method("idd", position=0.0)
    assert not list(silent.parameters())
    assert not silent.auxiliary_modules()
    assert not silent.auxiliary_losses(make_step())
