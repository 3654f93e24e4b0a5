"""The two resampling functions against torch's own, values and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.models.resampling import adaptive_average, resize_bilinear

Function = Callable[[Tensor], Tensor]


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def assert_same_map_and_gradient(ours: Function, theirs: Function, maps: Tensor) -> None:
    mine, other = (maps.clone().requires_grad_() for _ in range(2))
    expected = theirs(other)
    weight = torch.randn_like(expected)
    torch.autograd.backward([(ours(mine) * weight).sum(), (expected * weight).sum()])
    torch.testing.assert_close(ours(maps), expected.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(mine.grad, other.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 6, (2, 5), (9, 4)])
@pytest.mark.parametrize("shape", [(6, 8), (7, 11), (4, 3), (1, 1)])
@pytest.mark.usefixtures("deterministic")
def test_averaging_by_matrices_is_adaptive_average_pooling(
    shape: tuple[int, int], size: int | tuple[int, int]
) -> None:
    maps = torch.randn(2, 3, *shape, dtype=torch.float64)
    assert_same_map_and_gradient(
        lambda given: adaptive_average(given, size),
        lambda given: F.adaptive_avg_pool2d(given, size),
        maps,
    )


@pytest.mark.parametrize("size", [(90, 120), (5, 7), (3, 1), (1, 1), (6, 8)])
@pytest.mark.parametrize("shape", [(6, 8), (1, 1), (1, 5), (11, 9)])
def test_resizing_by_matrices_is_bilinear_interpolation_with_aligned_corners(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    maps = torch.randn(2, 3, *shape, dtype=torch.float64)
    assert_same_map_and_gradient(
        lambda given: resize_bilinear(given, size),
        lambda given: F.interpolate(given, size, mode="bilinear", align_corners=True),
        maps,
    )


@pytest.mark.usefixtures("deterministic")
def test_resampling_keeps_bfloat16_and_the_precision_of_its_weights_under_autocast() -> None:
    maps = torch.randn(2, 3, 6, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert resize_bilinear(maps.bfloat16(), (9, 9)).dtype == torch.bfloat16
        resized, averaged = resize_bilinear(maps, (31, 33)), adaptive_average(maps, 4)
    torch.testing.assert_close(resized, resize_bilinear(maps, (31, 33)), rtol=0, atol=0)
    torch.testing.assert_close(averaged, adaptive_average(maps, 4), rtol=0, atol=0)
