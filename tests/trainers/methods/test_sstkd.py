"""Textures by hand and with loops."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainers.method_api.method import Method
from trainers.methods.sstkd import statistical_texture, structural_texture
from trainers.models.resampling import resize_bilinear

MakeMethod = Callable[..., Method]


def at(map_: Tensor, y: int, x: int) -> float:
    inside = 0 <= y < map_.shape[0] and 0 <= x < map_.shape[1]
    return float(map_[y, x]) if inside else 0.0


def plain_bands(map_: Tensor) -> tuple[Tensor, float]:
    """Return the smaller map and the mean square of the directional bands of one channel."""
    tap = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]
    smooth = torch.zeros_like(map_)
    for y, x in torch.cartesian_prod(*(torch.arange(n) for n in map_.shape)).tolist():
        near = [(i, j) for i in range(5) for j in range(5)]
        smooth[y, x] = sum(tap[i] * tap[j] * at(map_, y + i - 2, x + j - 2) for i, j in near)
    smaller = smooth[::2, ::2]
    band = map_ - resize_bilinear(smaller[None, None], map_.shape)[0, 0]
    squares = [
        (2 * band[y, x] - at(band, y - dy, x - dx) - at(band, y + dy, x + dx)) ** 2 / 6
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1))
        for y in range(len(band))
        for x in range(len(band[0]))
    ]
    return smaller, float(torch.stack(squares).mean())


@pytest.mark.parametrize("size", [(4, 6), (5, 3)])
def test_bands_agree_with_a_plain_computation(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 1, 1, *size, dtype=torch.float64)
    smaller, first = plain_bands((student - teacher)[0, 0])
    _, second = plain_bands(smaller)
    assert structural_texture(student, teacher, 1).item() == pytest.approx(first)
    assert structural_texture(student, teacher, 2).item() == pytest.approx((first + second) / 2)


def test_edges_count_and_slow_changes_hardly_do() -> None:
    slow = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)
    level = torch.zeros(1, 1, 64, 64)
    inner = structural_texture(slow.sign(), level, 1), structural_texture(slow, level, 1)
    assert inner[0] > 3 * inner[1]


@pytest.mark.parametrize(
    ("cosines", "num_levels", "levels", "shares"),
    [
        ([0.0, 0.6, 1.0], 2, [0.0, 1.0], [0.4667, 0.5333]),
        ([0.0, 0.6, 1.0], 3, [0.0, 0.5, 1.0], [0.3333, 0.2667, 0.4]),
    ],
)
def test_shares_are_split_between_the_two_next_levels(
    cosines: list[float], num_levels: int, levels: list[float], shares: list[float]
) -> None:
    wanted = torch.tensor([cosines, [(1 - c * c) ** 0.5 for c in cosines]])
    lopsided = torch.cat([wanted, wanted * torch.tensor([[1.0], [-1.0]])], 1)  # the mean is (1, 0)
    student = lopsided.view(1, 2, 1, -1)
    teacher = torch.ones(1, 2, 3, 3)  # one intensity, 1: levels 1 to 1.001, all at the first
    first = torch.tensor([1.0] + [0.0] * (num_levels - 1))
    flat = torch.linspace(1, 1.001, num_levels)
    expected = (torch.tensor(levels) - flat).square().mean()
    expected = expected + (torch.tensor(shares) - first).square().mean()
    loss = statistical_texture(student, teacher, num_levels)
    torch.testing.assert_close(loss, expected, rtol=1e-3, atol=1e-4)


def test_statistics_do_not_depend_on_places() -> None:
    student = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    mixed = student.flatten(2)[:, :, torch.randperm(24)].view(2, 3, 8, 3)
    assert statistical_texture(student, mixed).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4])
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 4, 6)])
def test_extremes_are_finite(scale: float, shape: tuple[int, ...]) -> None:
    student = (scale * torch.randn(shape)).requires_grad_()
    teacher = torch.randn(shape)
    loss = structural_texture(student, teacher) + statistical_texture(student, teacher)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_the_adapter_is_built_only_where_its_term_counts(make_method: MakeMethod) -> None:
    assert not list(make_method("sstkd", structural_texture=0.0).parameters())
    assert list(make_method("sstkd").parameters())
