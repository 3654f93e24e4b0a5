"""Pair-wise distillation against published code and a plain computation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainers.errors import MethodError
from trainers.method_api.method import Method
from trainers.models.resampling import resize_bilinear
from trainers.terms.pairwise import pairwise

Reference = Callable[[str, str], dict[str, Tensor]]


def plainly(student: Tensor, teacher: Tensor, kernel: tuple[int, int], held: bool) -> Tensor:
    """Return the term with loops over images and pairs."""
    losses = []
    for maps in zip(student, teacher, strict=True):
        cosines = []
        for map_ in maps:
            nodes = functional.max_pool2d(map_[None], kernel, kernel, ceil_mode=True)[0]
            vectors = [
                node / ((node.detach() if held else node).square().sum().sqrt() + 1e-8)
                for node in nodes.flatten(1).T
            ]
            cosines.append(torch.stack([first @ second for first in vectors for second in vectors]))
        losses.append((cosines[0] - cosines[1]).square().mean())
    return torch.stack(losses).mean()


def gradient(loss: Tensor, student: Tensor) -> Tensor:
    return torch.autograd.grad(loss, student)[0]


@pytest.mark.parametrize(
    ("name", "pooling", "norm"), [("released", 0.5, "held"), ("port", 2.0, "through")]
)
def test_published_code_agrees_in_value_and_gradient(
    name: str, pooling: float, norm: str, reference: Reference
) -> None:
    case = reference("pairwise", name)
    loss = pairwise(case["student"], case["teacher"], pooling, norm)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-7, atol=0)
    own = gradient(loss, case["student"])
    torch.testing.assert_close(own, case["grad_student"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("norm", ["held", "through"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("size", "pooling", "kernel"),
    [
        ((5, 7), 0.5, (2, 3)),
        ((1, 6), 0.5, (1, 3)),
        ((6, 7), 1.0, (1, 1)),
        ((6, 9), 2.0, (2, 2)),
        ((7, 3), 0.2, (1, 1)),
        ((2, 9), 3.0, (2, 3)),
    ],
)
def test_every_pooling_agrees_with_a_plain_computation(
    size: tuple[int, int], pooling: float, kernel: tuple[int, int], norm: str, batch: int
) -> None:
    torch.manual_seed(0)
    student = torch.randn(batch, 3, *size, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(batch, 5, *size, dtype=torch.float64)
    expected = plainly(student, teacher, kernel, held=norm == "held")
    loss = pairwise(student, teacher, pooling, norm)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-15)
    own, other = gradient(loss, student), gradient(expected, student)
    torch.testing.assert_close(own, other, rtol=1e-7, atol=1e-12)


def test_two_nodes_by_hand() -> None:
    student = torch.tensor([[1.0, 0.0], [0.0, 2.0]]).T.reshape(1, 2, 1, 2)
    teacher = torch.tensor([[3.0, 0.0], [4.0, 0.0]]).T.reshape(1, 2, 1, 2)
    assert pairwise(student, teacher, pooling=1).item() == pytest.approx(0.5)  # (0-1)^2 twice of 4


@pytest.mark.parametrize("pooling", [0.5, 1.0])
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4, 1e18])
def test_extremes_are_finite(scale: float, pooling: float) -> None:
    student = (scale * torch.randn(1, 3, 6, 6)).requires_grad_()
    loss = pairwise(student, torch.randn(1, 5, 6, 6), pooling, "through")
    assert loss.isfinite()
    assert gradient(loss, student).isfinite().all()


def test_single_precision_is_enough_where_the_maps_nearly_agree() -> None:
    torch.manual_seed(0)
    teacher = torch.rand(2, 16, 16, 32)
    student = teacher + 0.01 * torch.randn_like(teacher)
    exact = pairwise(student.double(), teacher.double(), 1.0)
    torch.testing.assert_close(pairwise(student, teacher, 1.0).double(), exact, rtol=1e-4, atol=0)


def test_maps_of_two_sizes_are_compared_at_the_larger() -> None:
    student, teacher = torch.randn(1, 3, 4, 5), torch.randn(1, 3, 6, 4)
    first, second = (resize_bilinear(x, (6, 5)) for x in (student, teacher))
    assert torch.equal(pairwise(student, teacher), pairwise(first, second))


@pytest.mark.parametrize("params", [{"pooling": 0.0}, {"norm": "hold"}])
def test_values_out_of_range_are_refused(
    params: dict[str, float | str], make_method: Callable[..., Method]
) -> None:
    with pytest.raises(MethodError, match="must be|did you mean|known"):
        make_method("skd", **params)
