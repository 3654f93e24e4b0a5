"""Inter-class similarity against the released code, a description and plain re-computation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.method_api.task_loss import cross_entropy
from trainers.methods.aicsd import aicsd, divergences
from trainers.models.resampling import resize_bilinear
from trainers.terms.pixel_kl import pixel_kl

Reference = Callable[[str, str], dict[str, Tensor]]


def by_loops(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return the distance image by image and class pair by class pair."""
    values = []
    for images in zip(student, teacher, strict=True):
        matrices = []
        for image in images:
            p = [(channel.flatten() / temperature).softmax(0) for channel in image]
            rows = [torch.stack([(a * (a / b).log()).sum() for b in p]) for a in p]
            matrices.append(torch.stack([row / row.norm() for row in rows]))
        values.append((matrices[0] - matrices[1]).square().mean())
    return torch.stack(values).mean()


def as_computed(name: str, student: Tensor, teacher: Tensor) -> Tensor:
    """Return what that reference case computes, of our parts."""
    if name == "released":
        return aicsd(student, teacher, form="released")
    if name == "pixel_kl":
        return pixel_kl(student, teacher) / 21
    return (divergences(student) - divergences(teacher)).square().mean()


@pytest.mark.parametrize("name", ["released", "pixel_kl", "described"])
def test_reference_values_agree_in_value_and_gradient(name: str, reference: Reference) -> None:
    case = reference("aicsd", name)
    loss = as_computed(name, case["student"], case["teacher"])
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-9, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 2, 5, 7), (3, 21, 4, 3), (2, 5, 3, 3)])
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_any_shape_and_temperature_agree_with_loops(
    shape: tuple[int, ...], temperature: float
) -> None:
    student, teacher = torch.randn(2, *shape, dtype=torch.float64)
    expected = by_loops(student, teacher, temperature)
    torch.testing.assert_close(aicsd(student, teacher, temperature), expected, rtol=1e-9, atol=0)


def test_two_classes_diverge_both_ways() -> None:
    first, second = torch.tensor([0.5, 0.5]), torch.tensor([0.8, 0.2])
    logits = torch.stack([first, second]).log().view(1, 2, 1, 2)
    forth = (first * (first / second).log()).sum()
    back = (second * (second / first).log()).sum()
    expected = torch.tensor([[0.0, forth.item()], [back.item(), 0.0]])
    torch.testing.assert_close(divergences(logits)[0], expected)


@pytest.mark.parametrize("form", ["described", "released"])
@pytest.mark.parametrize("scale", [0.0, 1e-3, 1e4])
@pytest.mark.parametrize("classes", [1, 4])
def test_extreme_logits_give_finite_and_bounded_gradients(
    form: str, scale: float, classes: int
) -> None:
    student = (scale * torch.randn(2, classes, 4, 5)).requires_grad_()
    loss = aicsd(student, torch.randn(2, classes, 4, 5), form=form)
    torch.autograd.backward(loss)
    assert 0 <= loss.item() <= 4 / classes
    assert student.grad is not None
    assert student.grad.abs().max() < 1e3


def test_maps_of_two_sizes_are_compared_at_the_larger() -> None:
    student, teacher = torch.randn(1, 3, 2, 5), torch.randn(1, 3, 4, 3)
    first, second = (resize_bilinear(x, (4, 5)) for x in (student, teacher))
    assert torch.equal(aicsd(student, teacher), aicsd(first, second))


def test_the_published_weights_stay_unless_the_schedule_adapts(
    make_method: Callable[..., Method], make_step: Callable[..., Step]
) -> None:
    step = make_step(progress=0.25)
    steady, adaptive = make_method("aicsd"), make_method("aicsd", schedule="adaptive")
    task = cross_entropy(step.student, step.labels, 0.4)
    before, after = steady.losses(step), adaptive.losses(step)
    torch.testing.assert_close(steady.task_loss(step, 0.4), task)
    torch.testing.assert_close(adaptive.task_loss(step, 0.4), 0.25 * task)
    torch.testing.assert_close(after["aicsd"], 0.25 * before["aicsd"])
    torch.testing.assert_close(after["pixel_kl"], 0.75 * before["pixel_kl"])
    assert [method.last_switch(method.values) for method in (steady, adaptive)] == [0, 1]


def test_the_released_form_is_a_hyperparameter(
    make_method: Callable[..., Method], make_step: Callable[..., Step]
) -> None:
    step = make_step()
    maps = (step.student.logits, step.teacher_outputs.logits)
    method = make_method("aicsd", form="released", spatial_temperature=2.0)
    assert torch.equal(method.losses(step)["aicsd"], aicsd(*maps, 2.0, "released"))
    with pytest.raises(MethodError, match="form = 'paper'; known: described, released"):
        make_method("aicsd", form="paper")
