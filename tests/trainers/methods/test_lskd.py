"""Logit standardisation against the authors' formula, written plainly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainers.method_api.method import Method
from trainers.methods.lskd import logit_standardised_kl, standardised
from trainers.terms.pixel_kl import pixel_kl


def by_loops(student: Tensor, teacher: Tensor, temperature: float, unbiased: bool) -> Tensor:
    """Return the divergence position by position, with torch's own standard deviation."""
    values = []
    pixels = (x.movedim(1, 3).flatten(0, 2) for x in (student, teacher))
    for s, t in zip(*pixels, strict=True):
        p, q = (
            ((x - x.mean()) / (1e-7 + x.std(unbiased=unbiased)) / temperature).softmax(0)
            for x in (t, s)
        )
        values.append(temperature**2 * (p * (p / q).log()).sum())
    return torch.stack(values).mean()


@pytest.mark.parametrize("shape", [(1, 2, 5, 7), (3, 21, 4, 3), (2, 5, 3, 3)])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
@pytest.mark.parametrize("deviation", ["population", "sample"])
def test_the_formula_agrees_in_value_and_gradient(
    shape: tuple[int, ...], temperature: float, deviation: str
) -> None:
    student, teacher = torch.randn(2, *shape, dtype=torch.float64)
    student.requires_grad_()
    actual = logit_standardised_kl(student, teacher, temperature, deviation)
    expected = by_loops(student, teacher, temperature, unbiased=deviation == "sample")
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-15)
    gradients = [torch.autograd.grad(loss, student)[0] for loss in (actual, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-7, atol=1e-12)


def test_standardised_logits_have_mean_0_and_deviation_1() -> None:
    logits = standardised(5 + 3 * torch.randn(2, 7, 3, 4, dtype=torch.float64))
    torch.testing.assert_close(logits.mean(1), torch.zeros(2, 3, 4, dtype=torch.float64))
    torch.testing.assert_close(
        logits.square().mean(1), torch.ones(2, 3, 4, dtype=torch.float64), rtol=1e-5, atol=0
    )


def test_two_classes_standardise_to_plus_and_minus_one() -> None:
    logits = torch.tensor([3.0, 7.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(standardised(logits).flatten(), torch.tensor([-1.0, 1.0]))


def test_the_range_of_the_logits_does_not_matter() -> None:
    logits = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    assert logit_standardised_kl(3 * logits - 8, logits).item() == pytest.approx(0, abs=1e-12)
    assert pixel_kl(3 * logits - 8, logits, 2.0) > 0.1


@pytest.mark.parametrize("scale", [0.0, 1e4])
@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize("deviation", ["population", "sample"])
def test_extreme_logits_give_finite_gradients(scale: float, classes: int, deviation: str) -> None:
    student = (scale * torch.randn(2, classes, 4, 5)).requires_grad_()
    teacher = torch.randn(2, classes, 4, 5)
    loss = logit_standardised_kl(student, teacher, deviation=deviation)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_the_published_weight_is_for_a_task_loss_of_weight_1(
    make_method: Callable[..., Method],
) -> None:
    assert make_method("lskd").values["logit_standardised_kl"] == pytest.approx(9 / 0.1)
