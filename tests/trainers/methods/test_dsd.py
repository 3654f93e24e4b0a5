"""Double similarity distillation against the re-implementation, and its terms one by one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor

from trainers.methods.dsd import category_difference, pixel_difference

Reference = Callable[[str, str], dict[str, Tensor]]


def layers(batch: int, channels: list[int], size: tuple[int, int], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, c, *size, generator=generator).double() for c in channels]


def plain_pixel_difference(students: list[Tensor], teachers: list[Tensor]) -> float:
    total, count = 0.0, 0
    for image in range(len(students[0])):
        for earlier, later in combinations(range(len(students)), 2):
            residuals = []
            for net in (students, teachers):
                maps = [x[image].square().mean(0).flatten() for x in (net[earlier], net[later])]
                residual = maps[1] / maps[1].norm() - maps[0] / maps[0].norm()
                residuals.append(residual / residual.norm())
            total += float((residuals[0] - residuals[1]).square().sum())
            count += residuals[0].numel()
    return total / count


def plain_category_difference(student: Tensor, teacher: Tensor, temperature: float) -> float:
    batch, classes = student.shape[:2]
    total = 0.0
    for image in range(batch):
        shares = []
        for logits in (student[image], teacher[image]):
            rows = [slice(y, y + 2) for y in range(0, logits.shape[1], 2)]
            columns = [slice(x, x + 2) for x in range(0, logits.shape[2], 2)]
            cells = [logits[:, y, x].mean((1, 2)) for y in rows for x in columns]
            shares.append(torch.stack(cells, 1).div(temperature).softmax(1))
        for i in range(classes):
            for j in range(classes):
                similarities = [float((x[i] * x[j]).sum()) for x in shares]
                total += (similarities[0] - similarities[1]) ** 2
    return total / (batch * classes**2)


def test_the_re_implementation_agrees_in_value_and_gradients(reference: Reference) -> None:
    case = reference("features", "dsd")
    students = [case[f"student{i}"].requires_grad_() for i in range(3)]
    teachers = [case[f"teacher{i}"] for i in range(3)]
    pixel = pixel_difference(students, teachers)
    category = category_difference(students[2], teachers[2])
    torch.testing.assert_close(pixel, case["loss_psd"], rtol=1e-12, atol=0)
    torch.testing.assert_close(category, case["loss_csd"], rtol=1e-12, atol=0)
    for i, gradient in enumerate(torch.autograd.grad(pixel, students)):
        expected = case[f"grad_loss_psd_student{i}"]
        torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-12)
    (gradient,) = torch.autograd.grad(category, students[2:])
    expected = case["grad_loss_csd_student2"]
    torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-18)


@pytest.mark.parametrize("size", [(2, 3), (5, 4), (7, 7)])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("number", [2, 3, 4])
def test_residuals_of_any_number_of_layers(number: int, batch: int, size: tuple[int, int]) -> None:
    students = layers(batch, [3, 5, 2, 4][:number], size, seed=1)
    teachers = layers(batch, [6, 4, 2, 8][:number], size, seed=2)
    expected = plain_pixel_difference(students, teachers)
    assert pixel_difference(students, teachers).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("classes", [1, 2, 11, 21])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("size", "temperature"), [((1, 1), 4.0), ((5, 4), 1.0), ((7, 3), 0.5)])
def test_classes_are_compared_over_pooled_positions(
    classes: int, batch: int, size: tuple[int, int], temperature: float
) -> None:
    (student,), (teacher,) = (layers(batch, [classes], size, seed) for seed in (1, 2))
    expected = plain_category_difference(student, teacher, temperature)
    value = category_difference(student, teacher, temperature).item()
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_two_classes_in_two_places_are_not_alike() -> None:
    apart = torch.zeros(1, 2, 2, 4)
    apart[0, 0, :, :2], apart[0, 1, :, 2:] = 1e4, 1e4
    together = torch.zeros(1, 2, 2, 4)
    together[:, :, :, :2] = 1e4
    assert category_difference(apart, together, 1.0).item() == pytest.approx(0.5)


def test_layers_of_other_sizes_are_compared_at_the_largest() -> None:
    students = [torch.randn(2, 3, *size) for size in ((2, 3), (4, 6), (4, 6))]
    teachers = [torch.randn(2, 5, *size) for size in ((5, 5), (5, 5), (3, 7))]
    assert pixel_difference(students, teachers) <= 4 / (5 * 7)
    assert category_difference(students[0], torch.randn(2, 3, 5, 4)).isfinite()


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4])
@pytest.mark.parametrize("constant", [False, True])
def test_extreme_features_have_finite_values_and_gradients(scale: float, constant: bool) -> None:
    maps = [x.float() for x in layers(2, [4, 4, 4], (16, 16), seed=1)]
    students = [scale * (torch.ones_like(x) if constant else x) for x in maps]
    for student in students:
        student.requires_grad_()
    teachers = [x.float() for x in layers(2, [4, 4, 4], (16, 16), seed=2)]
    loss = pixel_difference(students, teachers) + category_difference(students[2], teachers[2])
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in students)
