"""The maps of relative difficulty, each alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainers.method_api.task_loss import pixel_log_probabilities
from trainers.terms.relative_difficulty import agreement_of_heads, combine, confidence, hard_pixels

Reference = Callable[[str, str], dict[str, Tensor]]


@pytest.mark.parametrize("direction", ["main_aux", "aux_main"])
def test_agreement_lies_between_0_and_1_and_is_1_for_equal_heads(direction: str) -> None:
    main, aux = 5 * torch.randn(2, 2, 4, 3, 3)
    agreement = agreement_of_heads(main, aux, direction)
    assert agreement.shape == (2, 3, 3)
    assert 0 <= agreement.min() <= agreement.max() < 1
    assert torch.equal(agreement_of_heads(main, main, direction), torch.ones(2, 3, 3))


def test_agreement_of_released_code_is_that_of_the_heads_exchanged(reference: Reference) -> None:
    case = reference("relative_difficulty", "early")
    reverse = agreement_of_heads(case["teacher"], case["teacher_aux"], "aux_main")
    exchanged = agreement_of_heads(case["teacher_aux"], case["teacher"])
    torch.testing.assert_close(reverse, case["agreement"], rtol=1e-12, atol=0)
    assert torch.equal(reverse, exchanged)


def test_hard_pixels_are_those_of_released_code(reference: Reference) -> None:
    case = reference("relative_difficulty", "late_xor")
    for net in ("student", "teacher"):
        logs = pixel_log_probabilities(case[net].detach(), case["labels"].shape[-2:])
        sure = confidence(logs, case["labels"], "ground_truth")
        hard = hard_pixels(sure, 0.7, min_kept=50) & (case["labels"] != 255)
        assert torch.equal(hard, case[f"hard_{net}"])


@pytest.mark.parametrize(
    ("kind", "expected"), [("max", [0.8, 0.6, 1.0]), ("ground_truth", [0.2, 0.6, 1.0])]
)
def test_confidence_is_of_the_likeliest_class_or_of_the_labels(
    kind: str, expected: list[float]
) -> None:
    probabilities = torch.tensor([[0.2, 0.6, 0.5], [0.8, 0.4, 0.5]]).view(1, 2, 1, 3)
    labels = torch.tensor([[[0, 0, 255]]])
    sure = confidence(probabilities.log(), labels, kind)
    torch.testing.assert_close(sure, torch.tensor(expected).view(1, 1, 3))


@pytest.mark.parametrize(("min_kept", "expected"), [(0, 1), (1, 1), (3, 3), (4, 4), (99, 4)])
def test_the_threshold_rises_until_enough_pixels_are_hard(min_kept: int, expected: int) -> None:
    sure = torch.tensor([[[0.1, 0.8, 0.9, 1.0]]])
    assert hard_pixels(sure, 0.7, min_kept).sum() == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_it_rises_on_a_gpu_in_deterministic_mode_too() -> None:
    sure = torch.tensor([[[0.1, 0.8, 0.9, 1.0]]], device="cuda")
    torch.use_deterministic_algorithms(True)
    try:
        hard = hard_pixels(sure, 0.7, min_kept=3)
    finally:
        torch.use_deterministic_algorithms(False)
    assert hard.sum() == 3


@pytest.mark.parametrize(
    ("combination", "expected"),
    [("xor", [0, 1, 1, 0]), ("or", [0, 1, 1, 1]), ("and", [0, 0, 0, 1])],
)
def test_masks_combine(combination: str, expected: list[int]) -> None:
    student, teacher = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]]).bool()
    assert combine(student, teacher, combination).tolist() == [bool(each) for each in expected]


def test_no_gradient_flows_through_a_map() -> None:
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    labels = torch.zeros(1, 2, 2, dtype=torch.long)
    sure = confidence(logits.log_softmax(1), labels)
    assert not sure.requires_grad
    assert not agreement_of_heads(logits, 2 * logits).requires_grad
