"""Distillation under learnt masks: published code, by hand, and the learning of tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainers.methods.maskd import Tokens, masked_logits, overlap, token_masks
from trainers.models.outputs import Outputs, Shape

Reference = Callable[[str, str], dict[str, Tensor]]


def plain(student: Tensor, teacher: Tensor, tokens: Tensor) -> Tensor:
    """Return `masked_logits` token by token and class by class."""
    terms = []
    for ours, theirs in zip(student, teacher, strict=True):
        for token in tokens:
            mask = (token[:, None, None] * theirs).sum(0).sigmoid()
            for a, b in zip(ours, theirs, strict=True):
                terms.append((mask * a - mask * b).square().sum() / (mask.sum() + 1e-5))
    return 0.5 * torch.stack(terms).mean()


def test_released_code_agrees_in_value_and_gradient(reference: Reference) -> None:
    case = reference("maskd", "authors")
    loss = masked_logits(case["student"], case["teacher"], case["tokens"])
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-9, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("batch", "classes", "size"), [(1, 2, (1, 1)), (3, 21, (5, 7))])
def test_a_plain_computation_agrees(batch: int, classes: int, size: tuple[int, int]) -> None:
    student, teacher = torch.randn(2, batch, classes, *size, dtype=torch.float64)
    tokens = torch.randn(4, classes, dtype=torch.float64)
    torch.testing.assert_close(
        masked_logits(student, teacher, tokens), plain(student, teacher, tokens), rtol=1e-9, atol=0
    )


def test_masks_of_one_half_by_hand() -> None:
    student, teacher = torch.zeros(1, 2, 1, 4, dtype=torch.float64), torch.zeros(1, 2, 1, 4)
    student[0, 0] = 2  # differs by 2 at four positions, in one class of two
    expected = 0.5 * 0.5 * 4 * (0.5 * 2) ** 2 / (4 * 0.5 + 1e-5)
    loss = masked_logits(student, teacher.double(), torch.zeros(8, 2, dtype=torch.float64))
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_extreme_logits_are_finite(scale: float) -> None:
    student = (scale * torch.randn(2, 3, 4, 5)).requires_grad_()
    loss = masked_logits(student, scale * torch.randn(2, 3, 4, 5), torch.randn(8, 3))
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_overlap_is_0_for_masks_apart_and_1_for_equal_ones() -> None:
    apart = torch.tensor([[[1.0, 1, 0, 0], [0, 0, 1, 1]]])
    half = torch.tensor([[[1.0, 1, 0, 0], [0, 1, 1, 0]]])
    assert overlap(apart).item() == pytest.approx(0)
    assert overlap(half).item() == pytest.approx(0.5)
    assert overlap(torch.ones(2, 3, 4)).item() == pytest.approx(1)
    assert overlap(torch.ones(2, 1, 4)).item() == 0


@pytest.mark.parametrize("ignored", [False, True])
def test_tokens_learn_to_look_apart(ignored: bool) -> None:
    torch.manual_seed(0)
    net = Tokens(Shape(num_classes=3, channels={}, auxiliary=False))
    labels = torch.randint(0, 3, (2, 6, 8))
    logits = 4.0 * torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2)
    seen = labels.fill_(255) if ignored else labels
    before = overlap(token_masks(logits, net.tokens))
    optimizer = net.build_optimizer()
    for _ in range(40):
        loss = net.loss(Outputs(logits=logits), seen, lambda maps: maps)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert overlap(token_masks(logits, net.tokens)) < before
