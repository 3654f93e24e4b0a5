"""The overhaul of feature distillation: released code, margins, and what a ReLU leaves of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import read_space
from trainers.methods.ofd import (
    PUBLISHED_ELEMENTS,
    negative_mean,
    overhaul,
    partial_l2,
    rectified_margins,
    rectified_target,
)
from trainers.models.resampling import resize_bilinear

Reference = Callable[[str, str], dict[str, Tensor]]
MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]


def test_the_released_distance_agrees_in_value_and_gradient(reference: Reference) -> None:
    case = reference("overhaul", "overhaul")
    target = torch.maximum(case["teacher"], case["margin"].view(-1, 1, 1))
    summed = partial_l2(case["student"], target) * target.numel()
    torch.autograd.backward(summed)
    torch.testing.assert_close(summed, case["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-9, atol=1e-12)


def test_the_released_margins_agree(reference: Reference) -> None:
    case = reference("overhaul", "overhaul")
    deviation = case["bn_weight"].abs()
    margins = negative_mean(case["bn_bias"] / deviation, deviation)
    torch.testing.assert_close(margins, case["margin"], rtol=1e-6, atol=0)


def test_the_weight_is_the_published_one_for_a_weighted_mean_over_elements() -> None:
    assert read_space("ofd").published["overhaul"] == pytest.approx(
        1e-5 * sum(PUBLISHED_ELEMENTS.values())
    )


def test_levels_count_as_in_the_released_sum_at_published_sizes(make_method: MakeMethod) -> None:
    method = make_method("ofd")
    elements = torch.tensor([256 * 129**2, 512 * 65**2, 1024 * 33**2, 2048 * 33**2, 256 * 129**2])
    published = 1e-5 * elements / torch.tensor([8, 4, 2, 1, 16])
    ours = float(method.values["overhaul"]) * torch.tensor(method.shares)
    torch.testing.assert_close(ours, published, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("student", "target", "expected"),
    [(2.0, 1.0, 1.0), (0.0, 1.0, 1.0), (0.5, -1.0, 2.25), (-2.0, -1.0, 0.0), (-1.0, 0.0, 0.0)],
)
def test_a_quiet_student_is_right_wherever_the_teacher_is_quiet(
    student: float, target: float, expected: float
) -> None:
    maps = (torch.tensor(x).view(1, 1, 1, 1) for x in (student, target))
    assert partial_l2(*maps).item() == pytest.approx(expected)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (-0.7, 0.5), (1.5, 2.0)])
def test_margins_are_found_again_after_the_relu(mean: float, deviation: float) -> None:
    before = mean + deviation * torch.randn(4, 3, 200, 200, dtype=torch.float64)
    expected = float(before[before < 0].mean())
    assert rectified_margins(before.relu()).flatten().tolist() == pytest.approx(
        [expected] * 3, rel=0.03
    )


def test_a_channel_that_never_fires_has_a_margin_of_0_and_one_that_always_does_a_finite_one() -> (
    None
):
    feature = torch.stack([torch.zeros(4, 4), torch.ones(4, 4), 1e4 * torch.ones(4, 4)]).unsqueeze(
        0
    )
    margins = rectified_margins(feature).flatten()
    assert margins[0] == 0
    assert margins.isfinite().all()
    assert (margins <= 0).all()


def test_a_target_keeps_what_fires_and_lowers_what_does_not() -> None:
    teacher = torch.tensor([3.0, 0.0, -0.5, -4.0]).view(1, 1, 2, 2)
    target = rectified_target(teacher, torch.tensor([-2.0]).view(1, 1, 1))
    assert target.flatten().tolist() == [3.0, -2.0, -0.5, -2.0]


@pytest.mark.parametrize("batch", [1, 3])
def test_levels_of_any_sizes_are_a_weighted_mean(batch: int) -> None:
    torch.manual_seed(0)
    students = [torch.randn(batch, 3, 4, 7), torch.randn(batch, 5, 2, 3)]
    targets = [torch.randn(batch, 3, 4, 7), torch.randn(batch, 5, 4, 3)]
    pairs = ((students[0], targets[0]), (resize_bilinear(students[1], (4, 3)), targets[1]))
    means = []
    for student, target in pairs:
        counted = (target > 0) | (student > target)
        means.append(float(((student - target)[counted] ** 2).sum() / target.numel()))
    expected = 0.25 * means[0] + 0.75 * means[1]
    assert overhaul(students, targets, [0.25, 0.75]).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4])
@pytest.mark.parametrize("constant", [False, True])
def test_extreme_features_have_finite_values_and_gradients(scale: float, constant: bool) -> None:
    student = torch.randn(2, 4, 9, 9)
    student = (scale * (torch.ones_like(student) if constant else student)).requires_grad_()
    teacher = scale * torch.randn(2, 4, 9, 9).relu()
    loss = partial_l2(student, rectified_target(teacher, rectified_margins(teacher)))
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_a_margin_of_0_asks_for_less_quiet(make_step: MakeStep, make_method: MakeMethod) -> None:
    step = make_step()
    values = [
        make_method("ofd", margin=margin).losses(step)["overhaul"]
        for margin in ("estimated", "zero")
    ]
    assert values[0] > values[1]
    with pytest.raises(MethodError, match=r"margin = 'zeros'.*did you mean 'zero'"):
        make_method("ofd", margin="zeros")


def test_nothing_is_built_for_a_weight_of_0(make_method: MakeMethod) -> None:
    assert not list(make_method("ofd", multiplier=0).parameters())
