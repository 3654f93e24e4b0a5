"""Pixel-wise distillation against published code, under the stated conversions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainers.models.resampling import resize_bilinear
from trainers.terms.pixel_kl import pixel_kl

Reference = Callable[[str, str], dict[str, Tensor]]


def cross_entropy_part(logits: Tensor) -> Tensor:
    """Return the teacher's mean entropy, which a cross-entropy has and a divergence has not."""
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()


def as_published(name: str, student: Tensor, teacher: Tensor) -> Tensor:
    """Return our term in the scaling of that publication."""
    batch, classes = student.shape[:2]
    match name:
        case "skd":
            return batch * (pixel_kl(student, teacher) + cross_entropy_part(teacher))
        case "ifvd":
            return pixel_kl(student, teacher) / classes
        case "apd":
            student, teacher = (resize_bilinear(x, (17, 25)) for x in (student, teacher))
            return pixel_kl(student, teacher, temperature=2.0) / classes
        case _:
            return pixel_kl(student, teacher)


@pytest.mark.parametrize("name", ["cirkd", "rdd", "skd", "ifvd", "apd"])
def test_published_code_agrees_in_value_and_gradient(name: str, reference: Reference) -> None:
    case = reference("pixel_kl", name)
    loss = as_published(name, case["student"], case["teacher"])
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-9, atol=1e-12)


def test_one_position_is_worth_its_divergence_in_nats() -> None:
    student = torch.tensor([0.5, 0.5]).log().view(1, 2, 1, 1)
    teacher = torch.tensor([0.8, 0.2]).log().view(1, 2, 1, 1)
    expected = 0.8 * torch.tensor(1.6).log() + 0.2 * torch.tensor(0.4).log()
    torch.testing.assert_close(pixel_kl(student, teacher), expected)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_equal_logits_have_no_divergence_however_large(scale: float) -> None:
    logits = scale * torch.randn(2, 5, 3, 4)
    assert pixel_kl(logits, logits).item() == 0


def test_a_high_temperature_compares_centred_logits() -> None:
    student, teacher = torch.randn(2, 1, 4, 3, 3, dtype=torch.float64)
    difference = (student - teacher) - (student - teacher).mean(1, keepdim=True)
    expected = difference.square().mean(1).mean() / 2
    torch.testing.assert_close(pixel_kl(student, teacher, 1e4), expected, rtol=1e-3, atol=0)


def test_logits_of_two_sizes_are_compared_at_the_larger() -> None:
    student, teacher = torch.randn(1, 3, 2, 5), torch.randn(1, 3, 4, 3)
    first, second = (resize_bilinear(x, (4, 5)) for x in (student, teacher))
    assert torch.equal(pixel_kl(student, teacher), pixel_kl(first, second))
