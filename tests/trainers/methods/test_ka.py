"""Adaptation to a code and affinities: by hand, by plain re-computation, and the auto-encoder."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainers.methods.ka import AutoEncoder, adaptation, affinity
from trainers.models.outputs import Outputs, Shape

Reference = Callable[[str, str], dict[str, Tensor]]


def plain_affinity(student: Tensor, teacher: Tensor) -> Tensor:
    """Return `affinity` image by image, from whole matrices."""
    total = student.new_zeros(())
    for maps in zip(student, teacher, strict=True):
        first, second = (functional.normalize(x.flatten(1), dim=0) for x in maps)
        difference = (first.T @ first - second.T @ second) / first.shape[1]
        total = total + difference.norm(dim=1).sum()
    return total / len(student)


def test_the_formula_of_the_paper_agrees(reference: Reference) -> None:
    case = reference("affinity", "rows")
    loss = affinity(case["student"], case["teacher"])
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-9, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(1, 2), (3, 5), (8, 9)])
@pytest.mark.parametrize("channels", [(2, 2), (4, 21)])
def test_affinities_need_no_matrix_of_pairs(
    batch: int, size: tuple[int, int], channels: tuple[int, int]
) -> None:
    student, teacher = (torch.randn(batch, c, *size, dtype=torch.float64) for c in channels)
    student.requires_grad_()
    losses = [f(student, teacher) for f in (affinity, plain_affinity)]
    gradients = [torch.autograd.grad(loss, student)[0] for loss in losses]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-9, atol=0)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-7, atol=1e-10)


def test_single_precision_suffices_for_nets_that_nearly_agree() -> None:
    teacher = torch.randn(1, 16, 32, 32)
    student = teacher + 1e-4 * torch.randn(teacher.shape)
    exact = plain_affinity(student.double(), teacher.double()).float()
    torch.testing.assert_close(affinity(student, teacher), exact, rtol=1e-2, atol=0)


def test_two_positions_by_hand() -> None:
    student = torch.tensor([[1.0, 0.0], [0.0, 2.0]]).view(1, 2, 1, 2)  # at right angles
    teacher = torch.tensor([[3.0, 3.0]]).view(1, 1, 1, 2)  # alike: cosines differ by 1, m = 2
    assert affinity(student, teacher).item() == pytest.approx(1.0)
    code = torch.tensor([[1.0, 1.0], [0.0, 1.0]]).view(1, 2, 1, 2)
    expected = (0 + 1 / math.sqrt(2) + 1 - 1 / math.sqrt(2)) / 2
    assert adaptation(student, code).item() == pytest.approx(expected)


@pytest.mark.parametrize("term", [adaptation, affinity])
def test_lengths_do_not_count_and_equal_maps_have_no_distance(
    term: Callable[[Tensor, Tensor], Tensor],
) -> None:
    student, teacher = torch.randn(2, 2, 5, 3, 4)
    torch.testing.assert_close(term(student, teacher), term(7 * student, teacher))
    assert term(teacher, teacher).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("term", [adaptation, affinity])
@pytest.mark.parametrize("maps", [torch.zeros(2, 3, 4, 5), torch.ones(2, 3, 4, 5) * 1e4])
def test_extremes_are_finite(term: Callable[[Tensor, Tensor], Tensor], maps: Tensor) -> None:
    for teacher in (maps, torch.randn(2, 3, 4, 5)):
        student = maps.clone().requires_grad_()
        loss = term(student, teacher)
        torch.autograd.backward(loss)
        assert loss.isfinite()
        assert student.grad is not None
        assert student.grad.isfinite().all()


def outputs_of(feature: Tensor) -> Outputs:
    return Outputs(logits=feature, features={"head": feature})


def encoder(channels: int = 8) -> AutoEncoder:
    torch.manual_seed(0)
    return AutoEncoder(Shape(num_classes=3, channels={"head": channels}, auxiliary=False))


@pytest.mark.parametrize("size", [(8, 16), (9, 15), (45, 60)])
def test_a_decoded_code_has_the_size_of_the_feature(size: tuple[int, int]) -> None:
    net = encoder()
    code = net.encode(torch.randn(2, 8, *size))
    assert code.shape == (2, 4, math.ceil(size[0] / 8), math.ceil(size[1] / 8))
    assert net.decode(code, torch.Size(size)).shape == (2, 8, *size)


def test_the_auto_encoder_learns_to_tell_features_apart() -> None:
    net = encoder()
    optimizer = net.build_optimizer()
    feature = torch.rand(4, 8, 1, 1).repeat(1, 1, 16, 16)
    labels = torch.zeros(4, 16, 16).long()
    for _ in range(150):
        loss = net.loss(outputs_of(feature), labels, lambda maps: maps)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert loss < 0.8 * (feature - feature.mean(0)).square().mean()


def test_sparse_codes_are_preferred() -> None:
    net = encoder().eval()
    feature, labels = torch.rand(2, 8, 8, 8), torch.zeros(2, 8, 8).long()
    loss = net.loss(outputs_of(feature), labels, lambda maps: maps)
    code = net.encode(feature)
    error = functional.mse_loss(net.decode(code, feature.shape[-2:]), feature)
    assert loss.item() == pytest.approx((error + 1e-7 * code.sum() / feature.numel()).item())
