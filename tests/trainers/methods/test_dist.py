"""DIST against the authors' code and plain re-computation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.methods.dist import dist, pearson
from trainers.models.outputs import Outputs

Reference = Callable[[str, str], dict[str, Tensor]]


def correlation(x: Tensor, y: Tensor) -> Tensor:
    """Return Pearson's correlation of two vectors with the authors' epsilon."""
    x, y = x - x.mean(), y - y.mean()
    return (x @ y) / (x.norm() * y.norm() + 1e-8)


def by_loops(student: Tensor, teacher: Tensor, group: int) -> Tensor:
    """Return both parts, position by position and class by class, for beta = 1 and gamma = 2."""
    p, q = student.softmax(1), teacher.softmax(1)
    pixels = zip(p.movedim(1, 3).flatten(0, 2), q.movedim(1, 3).flatten(0, 2), strict=True)
    first = 1 - torch.stack([correlation(x, y) for x, y in pixels]).mean()
    parts = []
    for a, b in zip(p.split(group), q.split(group), strict=True):
        pairs = [(a[:, k].flatten(), b[:, k].flatten()) for k in range(p.shape[1])]
        parts.append(len(a) * torch.stack([correlation(x, y) for x, y in pairs]).mean())
    return first + 2 * (1 - torch.stack(parts).sum() / len(p))


def test_the_authors_code_agrees_in_value_and_gradient(reference: Reference) -> None:
    case = reference("dist", "authors")
    loss = dist(case["student"], case["teacher"])
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 2, 5, 7), (3, 21, 4, 3), (4, 5, 3, 3), (5, 3, 2, 2)])
@pytest.mark.parametrize("group", [1, 2, 8])
def test_any_shape_and_group_agree_with_loops(shape: tuple[int, ...], group: int) -> None:
    student, teacher = torch.randn(2, *shape, dtype=torch.float64)
    expected = by_loops(student, teacher, group)
    actual = dist(student, teacher, (1.0, 2.0), group=group)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=0)


def test_a_temperature_divides_the_logits() -> None:
    student, teacher = torch.randn(2, 2, 5, 4, 3, dtype=torch.float64)
    expected = dist(student / 3, teacher / 3)
    torch.testing.assert_close(dist(student, teacher, temperature=3.0), expected)


def test_correlation_ignores_scale_and_shift_and_sees_the_sign() -> None:
    x = torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.float64)
    assert pearson(x, 3 * x + 5, 1).item() == pytest.approx(1)
    assert pearson(x, 5 - x, 1).item() == pytest.approx(-1)
    assert pearson(x, torch.ones_like(x), 1).item() == 0


def test_equal_logits_give_nothing_but_the_epsilon() -> None:
    logits = torch.randn(2, 5, 4, 6, dtype=torch.float64)
    assert 0 < dist(logits, logits).item() < 1e-5


@pytest.mark.parametrize("scale", [0.0, 1e4])
@pytest.mark.parametrize("classes", [1, 4])
def test_extreme_logits_give_finite_gradients(scale: float, classes: int) -> None:
    student = (scale * torch.randn(2, classes, 4, 5)).requires_grad_()
    loss = dist(student, scale * torch.randn(2, classes, 4, 5))
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_auxiliary_logits_count_by_their_share(
    make_method: Callable[..., Method], make_step: Callable[..., Step]
) -> None:
    step, method = make_step(), make_method("dist", auxiliary=0.25)
    teacher = step.teacher_outputs
    assert step.student.aux_logits is not None
    assert teacher.aux_logits is not None
    main = dist(step.student.logits, teacher.logits)
    auxiliary = dist(step.student.aux_logits, teacher.aux_logits)
    torch.testing.assert_close(method.losses(step)["dist"], main + 0.25 * auxiliary)
    one_head = replace(step, student=replace(step.student, aux_logits=None))
    torch.testing.assert_close(method.losses(one_head)["dist"], main)


def test_a_teacher_without_auxiliary_logits_is_refused(
    make_method: Callable[..., Method], make_step: Callable[..., Step]
) -> None:
    method, step = make_method("dist"), make_step()
    assert method.teacher_shape is not None
    with pytest.raises(MethodError, match="the teacher must have an auxiliary head"):
        make_method("dist", teacher=replace(method.teacher_shape, auxiliary=False))
    with pytest.raises(MethodError, match="needs the teacher's auxiliary logits"):
        method.losses(replace(step, teacher=Outputs(logits=step.teacher_outputs.logits)))
