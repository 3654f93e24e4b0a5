"""The task loss against torch's own and published code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainers.method_api.task_loss import (
    cross_entropy,
    pixel_log_probabilities,
    weighted_cross_entropy,
)
from trainers.models.outputs import Outputs


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([[[0, 1, 2, 255, 1], [2, 2, 255, 0, 1], [1, 0, 0, 2, 255]]])


def test_published_code_agrees_in_value_and_gradient(
    reference: Callable[[str, str], dict[str, Tensor]],
) -> None:
    case = reference("cross_entropy", "cirkd")
    loss = cross_entropy(Outputs(logits=case["student"]), case["labels"], 0.4)
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-9, atol=1e-12)


def test_torch_agrees_at_the_labels_size(labels: Tensor) -> None:
    logits = torch.randn(1, 3, 3, 5, dtype=torch.float64)
    expected = functional.cross_entropy(logits, labels, ignore_index=255)
    torch.testing.assert_close(cross_entropy(Outputs(logits=logits), labels, 0.4), expected)


def test_the_auxiliary_head_adds_its_share(labels: Tensor) -> None:
    main, aux = torch.randn(2, 1, 3, 2, 3)
    alone = [cross_entropy(Outputs(logits=x), labels, 0.4) for x in (main, aux)]
    both = cross_entropy(Outputs(logits=main, aux_logits=aux), labels, 0.4)
    torch.testing.assert_close(both, alone[0] + 0.4 * alone[1])


def test_without_a_valid_pixel_the_loss_is_zero_and_so_is_its_gradient(labels: Tensor) -> None:
    logits = torch.randn(1, 3, 2, 3, requires_grad=True)
    loss = cross_entropy(Outputs(logits=logits), torch.full_like(labels, 255), 0.4)
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_weights_of_one_value_scale_the_mean_over_valid_pixels(
    labels: Tensor, weight: float
) -> None:
    logits = torch.randn(1, 3, 2, 3)
    probabilities = pixel_log_probabilities(logits, labels.shape[-2:])
    weights = torch.full(labels.shape, weight)
    expected = weight * cross_entropy(Outputs(logits=logits), labels, 0.4)
    torch.testing.assert_close(weighted_cross_entropy(probabilities, labels, weights), expected)
