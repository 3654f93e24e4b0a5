"""The terms across images: against published code, a plain re-computation, and by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainers.terms import similarity
from trainers.terms.cross_image import (
    Projection,
    channel_mse,
    cross_image_channel,
    cross_image_pixel,
    memory_channel,
    memory_relation,
)
from trainers.terms.relation_memory import channel_vectors, pooled

Reference = Callable[[str, str], dict[str, Tensor]]


def agree(actual: Tensor | None, expected: Tensor) -> None:
    assert actual is not None
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)


def published_projection(case: dict[str, Tensor]) -> Projection:
    projection = Projection(5, 6).double()
    names = ("0.weight", "1.weight", "1.bias", "3.weight")
    weights = {name: case[f"w_{name.replace('.', '_')}"] for name in names}
    projection.load_state_dict(weights, strict=False)
    return projection


def check_gradients(loss: Tensor, name: str, case: dict[str, Tensor], module: Projection) -> None:
    agree(loss, case[name])
    torch.autograd.backward(loss)
    agree(case["student"].grad, case[f"grad_{name}_student"])
    for key, parameter in module.named_parameters():
        agree(parameter.grad, case[f"grad_{name}_w_{key.replace('.', '_')}"])


def plain(student: Tensor, teacher: Tensor, temperature: float, group: int) -> Tensor:
    """Return `cross_image_pixel` pair by pair."""
    student, teacher = (functional.normalize(x, dim=1).flatten(2) for x in (student, teacher))
    batch, total = len(student), student.new_zeros(())
    for start in range(0, batch, group):
        members = range(start, min(batch, start + group))
        for i in members:
            for j in members:
                logits = student[i].T @ student[j] / temperature
                targets = (teacher[i].T @ teacher[j] / temperature).softmax(1)
                rows = (targets * (targets.log() - logits.log_softmax(1))).sum(1)
                total = total + rows.mean() / len(members) / batch
    return total


def test_pixels_of_released_code_agree(reference: Reference) -> None:
    case = reference("cirkd", "pixel")
    loss = cross_image_pixel(case["student"], case["teacher"])
    torch.autograd.backward(loss)
    agree(loss, case["loss"])
    agree(case["student"].grad, case["grad_student"])


def test_pooled_pixels_of_three_images_agree_with_released_code(reference: Reference) -> None:
    case = reference("cirkd", "pixel_pooled")
    student, teacher = (functional.avg_pool2d(case[net], 2) for net in ("student", "teacher"))
    loss = cross_image_pixel(student, teacher, group=3)
    torch.autograd.backward(loss)
    agree(loss, case["loss"])
    agree(case["student"].grad, case["grad_student"])


@pytest.mark.parametrize("name", ["pixel", "region"])
def test_relations_to_stored_vectors_agree_with_released_code(
    name: str, reference: Reference
) -> None:
    case = reference("cirkd", "memory")
    module = published_projection(case)
    vectors = case[f"{name}s"]
    present = torch.ones(len(vectors), dtype=torch.bool)
    student = module(case["student"])
    loss = memory_relation(student, case["teacher"], case["labels"], (vectors, present))
    check_gradients(loss, name, case, module)


@pytest.mark.parametrize("name", ["minibatch", "memory", "mse"])
def test_channels_of_released_code_agree(name: str, reference: Reference) -> None:
    case = reference("cirkd", "channel")
    module = published_projection(case)
    student = channel_vectors(module(pooled(case["student"])))
    teacher = channel_vectors(pooled(case["teacher"]))
    vectors = case["remembered"]
    losses = {
        "minibatch": lambda: cross_image_channel(student, teacher),
        "memory": lambda: memory_channel(student, teacher, (vectors, vectors.any(1))),
        "mse": lambda: channel_mse(student, teacher),
    }
    check_gradients(losses[name](), name, case, module)


@pytest.mark.parametrize("chunk", [1, 7, 2**20])
@pytest.mark.parametrize(("batch", "group"), [(1, 2), (2, 2), (3, 2), (5, 3), (4, 1)])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_streaming_changes_nothing(
    chunk: int, batch: int, group: int, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "CHUNK_CPU", chunk)
    student = torch.randn(batch, 3, 3, 5, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(batch, 7, 3, 5, dtype=torch.float64)
    losses = [f(student, teacher, temperature, group) for f in (cross_image_pixel, plain)]
    gradients = [torch.autograd.grad(loss, student)[0] for loss in losses]
    agree(losses[0], losses[1])
    agree(gradients[0], gradients[1])


def test_two_pixels_by_hand() -> None:
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(1, 2, 1, 2)  # at right angles
    teacher = torch.ones(1, 1, 1, 2)  # the same: each pixel relates to both alike
    share = 1 / (1 + math.exp(-1))
    expected = -math.log(2) - 0.5 * math.log(share) - 0.5 * math.log(1 - share)
    assert cross_image_pixel(student, teacher, 1.0).item() == pytest.approx(expected)


def test_absent_vectors_have_no_share() -> None:
    student, teacher = torch.randn(2, 1, 4, 3, 3, dtype=torch.float64)
    vectors, labels = torch.randn(6, 4, dtype=torch.float64), torch.zeros(1, 9, 9).long()
    present = torch.tensor([True, False, True, True, False, True])
    some = memory_relation(student, teacher, labels, (vectors, present))
    few = memory_relation(student, teacher, labels, (vectors[present], present[present]))
    agree(some, few)


def test_ignored_pixels_are_no_anchors() -> None:
    student, teacher = torch.randn(2, 1, 4, 1, 2, dtype=torch.float64)
    vectors = torch.randn(6, 4, dtype=torch.float64), torch.ones(6, dtype=torch.bool)
    some = memory_relation(student, teacher, torch.tensor([[[0, 255]]]), vectors)
    first = (student[..., :1], teacher[..., :1])
    agree(some, memory_relation(*first, torch.tensor([[[0]]]), vectors))


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e4])
def test_extreme_features_have_finite_losses_and_gradients(scale: float) -> None:
    student = (scale * torch.randn(2, 4, 3, 3)).requires_grad_()
    teacher, labels = scale * torch.randn(2, 4, 3, 3), torch.full((2, 5, 5), 255)
    nothing = torch.zeros(6, 4), torch.zeros(6, dtype=torch.bool)
    loss = cross_image_pixel(student, teacher)
    loss = loss + memory_relation(student, teacher, labels, nothing)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("scale", [0.0, 1e-9])
def test_a_position_without_a_feature_has_a_gradient_like_others(scale: float) -> None:
    student, teacher = torch.randn(2, 2, 4, 3, 3)
    student[1, :, 2, 1] *= scale
    student.requires_grad_()
    [gradient] = torch.autograd.grad(cross_image_pixel(student, teacher), student)
    assert gradient[1, :, 2, 1].norm() < 100 * gradient[0].norm()
