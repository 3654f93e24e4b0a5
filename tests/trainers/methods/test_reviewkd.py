"""Knowledge review against published code, and where ours takes any map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trainers.errors import MethodError
from trainers.method_api.loading import load_method
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import resolve
from trainers.methods.reviewkd import Review, hierarchical_mse
from trainers.models.resampling import resize_bilinear

Reference = Callable[[str, str], dict[str, Tensor]]
MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]


def published_name(ours: str, levels: int) -> str:
    """Return the name in the published code, which counts from the deepest level."""
    _, level, rest = ours.split(".", 2)
    rest = rest.replace("attention", "att_conv.0").replace(".", "_")
    return f"w_{levels - 1 - int(level)}_{rest}"


def plain_hierarchical(student: Tensor, teacher: Tensor) -> float:
    """Return the loss for 16 x 12 maps, whose bins are all of the same size."""
    total, weights = float((student - teacher).square().mean()), 1.0
    for size, weight in ((4, 0.5), (2, 0.25), (1, 0.125)):
        height, width = student.shape[2] // size, student.shape[3] // size
        squares = [
            (student - teacher)[..., y : y + height, x : x + width].mean((2, 3)).square().mean()
            for y in range(0, student.shape[2], height)
            for x in range(0, student.shape[3], width)
        ]
        total += weight * float(sum(squares)) / len(squares)
        weights += weight
    return total / weights


def test_published_fusion_agrees_in_value_and_gradients(reference: Reference) -> None:
    case = reference("review", "reviewkd")
    students = [case[f"student{i}"].requires_grad_() for i in range(4)]
    teachers = [case[f"teacher{i}"] for i in range(4)]
    review = Review([x.shape[1] for x in students], 8, [x.shape[1] for x in teachers]).double()
    parameters = {published_name(n, 4): p for n, p in review.named_parameters()}
    for name, parameter in parameters.items():
        parameter.data.copy_(case[name])
    distances = map(hierarchical_mse, review(students), teachers)
    loss = torch.stack(list(distances)).sum()
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-12, atol=0)
    for i, student in enumerate(students):
        torch.testing.assert_close(student.grad, case[f"grad_student{i}"], rtol=1e-6, atol=1e-10)
    for name, parameter in parameters.items():
        torch.testing.assert_close(parameter.grad, case[f"grad_{name}"], rtol=1e-6, atol=1e-10)


def test_the_published_distance_agrees_in_value_and_gradient(reference: Reference) -> None:
    case = reference("features", "hcl")
    loss = hierarchical_mse(case["student"], case["teacher"])
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_distance_is_that_of_the_map_and_its_poolings(batch: int) -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, batch, 3, 16, 12, dtype=torch.float64)
    expected = plain_hierarchical(student, teacher)
    assert hierarchical_mse(student, teacher).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (4, 3), (5, 5)])
def test_a_constant_difference_counts_alike_at_every_map_size(size: tuple[int, int]) -> None:
    teacher = torch.randn(1, 2, *size, dtype=torch.float64)
    assert hierarchical_mse(teacher + 3, teacher).item() == pytest.approx(9)


@pytest.mark.parametrize("size", [(2, 9), (9, 2)])
def test_a_pooling_as_large_as_a_side_of_the_map_falls_out(size: tuple[int, int]) -> None:
    difference = torch.randn(1, 2, *size)
    difference -= difference.mean((2, 3), keepdim=True)  # hence 0 when pooled to 1
    expected = difference.square().mean() / 1.5
    torch.testing.assert_close(hierarchical_mse(difference, torch.zeros(1, 2, *size)), expected)


def test_maps_of_two_sizes_are_compared_at_the_larger() -> None:
    small, large = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 7, 6)
    expected = hierarchical_mse(resize_bilinear(small, (7, 6)), large)
    assert torch.equal(hierarchical_mse(small, large), expected)


@pytest.mark.parametrize("batch", [1, 2])
def test_levels_may_have_any_sizes(batch: int) -> None:
    sizes = [(9, 14), (5, 7), (5, 7), (3, 4)]
    features = [torch.randn(batch, 4, *size, requires_grad=True) for size in sizes]
    results = Review([4] * 4, 2, [3, 5, 7, 9])(features)
    assert [tuple(x.shape) for x in results] == [
        (batch, channels, *size) for channels, size in zip([3, 5, 7, 9], sizes, strict=True)
    ]
    torch.autograd.backward(results[0].square().mean())
    assert all(x.grad is not None and x.grad.any() for x in features)  # deep ones help shallow ones


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_extreme_features_have_finite_values_and_gradients(scale: float) -> None:
    features = [(scale * torch.ones(2, 4, 6, 6)).requires_grad_() for _ in range(3)]
    results = Review([4] * 3, 2, [4] * 3)(features)
    loss = torch.stack([hierarchical_mse(x, scale * torch.randn_like(x)) for x in results]).sum()
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in features)


def test_the_warm_up_rises_linearly_and_ends_before_the_first_rung(
    make_step: MakeStep, make_method: MakeMethod
) -> None:
    step, method = make_step(), make_method("reviewkd", warm_up=0.08)
    values = [
        method.losses(replace(step, progress=progress))["review"].item()
        for progress in (0.0, 0.02, 0.08, 0.9)
    ]
    assert values == pytest.approx([0, values[3] / 4, values[3], values[3]])
    assert load_method("reviewkd").last_switch(resolve("reviewkd", {})) < 1 / 9


def test_without_a_warm_up_the_term_counts_from_the_first_step(
    make_step: MakeStep, make_method: MakeMethod
) -> None:
    step, method = make_step(progress=0.0), make_method("reviewkd", warm_up=0)
    assert method.losses(step)["review"] > 0
    with pytest.raises(MethodError, match=r"warm_up must lie in \[0, 1\), got 1"):
        make_method("reviewkd", warm_up=1)


def test_nothing_is_built_for_a_weight_of_0(make_method: MakeMethod) -> None:
    assert not list(make_method("reviewkd", multiplier=0).parameters())
