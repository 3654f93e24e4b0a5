"""Variation within classes against published code and a plain computation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainers.method_api.method import Method
from trainers.method_api.registry import resolve
from trainers.methods.ifvd import intra_class_variation
from trainers.models.resampling import resize_bilinear
from trainers.terms.class_means import class_means, members_on_map

Reference = Callable[[str, str], dict[str, Tensor]]
MakeMethod = Callable[..., Method]


def plainly(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """Return the term with loops; labels are of the maps' size."""
    losses = []
    for *maps, classes in zip(student, teacher, labels, strict=True):
        cosines = []
        for map_ in maps:
            features, kinds = map_.flatten(1).T, classes.flatten()
            centres = {int(k): features[kinds == k].mean(0) for k in kinds.unique()}
            cosines.append(
                torch.stack(
                    [
                        functional.cosine_similarity(x, x if k == 255 else centres[int(k)], dim=0)
                        for x, k in zip(features, kinds, strict=True)
                    ]
                )
            )
        losses.append((cosines[0] - cosines[1]).square().mean())
    return torch.stack(losses).mean()


def gradient(loss: Tensor, student: Tensor) -> Tensor:
    return torch.autograd.grad(loss, student)[0]


def test_published_code_agrees_in_value_and_gradient(reference: Reference) -> None:
    case = reference("intra_class_variation", "ifvd")
    loss = intra_class_variation(case["student"], case["teacher"], case["labels"], 5)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-7, atol=0)
    own = gradient(loss, case["student"])
    torch.testing.assert_close(own, case["grad_student"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("num_classes", [2, 7, 21])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_plain_computation_agrees(num_classes: int, batch: int) -> None:
    torch.manual_seed(0)
    student = torch.randn(batch, 4, 5, 7, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(batch, 6, 5, 7, dtype=torch.float64)
    labels = torch.randint(0, num_classes, (batch, 5, 7))
    labels[:, 2:4, ::2] = 255
    loss = intra_class_variation(student, teacher, labels, num_classes)
    expected = plainly(student, teacher, labels)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        gradient(loss, student), gradient(expected, student), rtol=1e-5, atol=1e-9
    )


def test_means_are_those_of_each_class_in_each_image() -> None:
    features = torch.tensor([[1.0, 3.0], [5.0, 7.0]]).view(2, 1, 1, 2)
    labels = torch.tensor([[[1, 1]], [[0, 255]]])
    means = class_means(features, members_on_map(labels, 3, features))
    torch.testing.assert_close(means.squeeze(2), torch.tensor([[0.0, 2.0, 0.0], [5.0, 0.0, 0.0]]))


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4, 1e15])
@pytest.mark.parametrize("label", [0, 255])
def test_extremes_are_finite(scale: float, label: int) -> None:
    student = (scale * torch.randn(2, 3, 4, 6)).requires_grad_()
    labels = torch.full((2, 9, 13), label)
    loss = intra_class_variation(student, torch.randn(2, 5, 4, 6), labels, 3)
    slope = gradient(loss, student)
    assert loss.isfinite()
    assert slope.isfinite().all()
    assert scale or slope.abs().max() < 10
    assert label == 0 or loss.item() == 0


def test_maps_of_two_sizes_are_compared_at_the_larger() -> None:
    student, teacher = torch.randn(1, 3, 4, 5), torch.randn(1, 3, 6, 4)
    labels = torch.randint(0, 3, (1, 9, 9))
    first, second = (resize_bilinear(x, (6, 5)) for x in (student, teacher))
    expected = intra_class_variation(first, second, labels, 3)
    assert torch.equal(intra_class_variation(student, teacher, labels, 3), expected)


def test_the_published_pixel_weight_is_divided_by_the_publications_classes() -> None:
    assert resolve("ifvd", {})["pixel_kl"] == pytest.approx(10 / 19, rel=1e-15)


def test_the_critic_is_built_only_where_its_term_counts(make_method: MakeMethod) -> None:
    assert not list(make_method("ifvd", holistic=0.0).parameters())
    assert set(make_method("ifvd").auxiliary_modules()) == {"critic"}
