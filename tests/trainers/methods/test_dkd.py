"""Decoupled distillation against published code and plain re-computation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.methods.dkd import dkd
from trainers.terms.map_labels import labels_on_map
from trainers.terms.pixel_kl import pixel_kl

Reference = Callable[[str, str], dict[str, Tensor]]


def divergence(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum()


def by_loops(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the value for alpha = 2 and beta = 3, position by position."""
    values = []
    for b, y, x in (labels != 255).nonzero().tolist():
        label = int(labels[b, y, x])
        rest = [k for k in range(student.shape[1]) if k != label]
        p = (teacher[b, :, y, x] / temperature).softmax(0)
        q = (student[b, :, y, x] / temperature).softmax(0)
        first = divergence(*(torch.stack([z[label], z[rest].sum()]) for z in (p, q)))
        second = divergence(*(z[rest] / z[rest].sum() for z in (p, q)))
        values.append(2 * first + 3 * second)
    return temperature**2 * torch.stack(values).mean()


def test_published_code_agrees_in_value_and_gradient(reference: Reference) -> None:
    case = reference("dkd", "mdistiller")
    student, teacher = (case[name][:, :, None, None] for name in ("student", "teacher"))
    loss = dkd(student, teacher, case["labels"][:, None, None])
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-9, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("shape", [(1, 3, 5, 7), (3, 21, 4, 3), (2, 2, 3, 3)])
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_any_shape_and_temperature_agree_with_loops(
    shape: tuple[int, ...], temperature: float
) -> None:
    student, teacher = torch.randn(2, *shape, dtype=torch.float64)
    labels = torch.randint(0, shape[1], (shape[0], *shape[2:]))
    labels[0, 0] = 255
    expected = by_loops(student, teacher, labels, temperature)
    actual = dkd(student, teacher, labels, (2.0, 3.0), temperature)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=0)


def test_the_parts_weighted_by_the_teacher_make_the_whole_divergence() -> None:
    student, teacher = torch.randn(2, 1, 6, 1, 1, dtype=torch.float64)
    label = torch.tensor([[[4]]])
    weights = (1.0, 1 - teacher.softmax(1)[0, 4, 0, 0].item())
    whole = pixel_kl(student, teacher)
    torch.testing.assert_close(dkd(student, teacher, label, weights, 1.0), whole)


def test_labels_are_taken_at_the_nearest_pixel() -> None:
    student, teacher = torch.randn(2, 2, 5, 3, 4)
    labels = torch.randint(0, 5, (2, 17, 23))
    near = labels_on_map(labels, student.shape[-2:])
    expected = torch.nn.functional.interpolate(labels[:, None].double(), (3, 4)).squeeze(1)
    assert torch.equal(near, expected.long())
    assert torch.equal(dkd(student, teacher, labels), dkd(student, teacher, near))


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("classes", [1, 2, 171])
@pytest.mark.parametrize("ignored", [False, True])
def test_extreme_logits_give_finite_gradients(scale: float, classes: int, ignored: bool) -> None:
    student = (scale * torch.randn(2, classes, 3, 4)).requires_grad_()
    labels = torch.full((2, 3, 4), 255) if ignored else torch.randint(0, classes, (2, 3, 4))
    loss = dkd(student, scale * torch.randn(2, classes, 3, 4), labels, temperature=1.0)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert loss.item() == 0 or not (ignored or classes == 1 or scale == 0)
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_an_ignored_position_has_no_gradient() -> None:
    student = torch.randn(1, 5, 1, 2, requires_grad=True)
    torch.autograd.backward(dkd(student, torch.randn(1, 5, 1, 2), torch.tensor([[[255, 3]]])))
    assert student.grad is not None
    assert student.grad[..., 0].abs().max() == 0
    assert student.grad[..., 1].abs().max() > 0


def test_the_warm_up_is_linear_and_ends(
    make_method: Callable[..., Method], make_step: Callable[..., Step]
) -> None:
    method = make_method("dkd", warm_up=0.1)
    start, half, end, later = (
        method.losses(make_step(progress=progress))["dkd"] for progress in (0.0, 0.05, 0.1, 0.9)
    )
    assert start == 0
    torch.testing.assert_close(half, end / 2)
    assert torch.equal(end, later)
    assert method.last_switch(method.values) == 0.1


def test_without_a_warm_up_the_first_step_counts_in_full(
    make_method: Callable[..., Method], make_step: Callable[..., Step]
) -> None:
    assert make_method("dkd", warm_up=0.0).losses(make_step(progress=0.0))["dkd"] > 0
    with pytest.raises(MethodError, match=r"warm_up must lie in \[0, 1\], got 2"):
        make_method("dkd", warm_up=2.0)
