"""Average pooling and bilinear upsampling in formulations that a GPU can repeat bit by bit.

The CUDA kernels for the backward passes of torch's own two functions add in no fixed order, so
deterministic mode refuses them. Both are linear maps along rows and columns: two products with
small fixed matrices give the same values up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def adaptive_average(maps: Tensor, size: int | Sequence[int]) -> Tensor:
    """Return (B, C, h, w) maps averaged over the bins of torch's adaptive_avg_pool2d.

    `size` is (height, width) of the result, or one number for both. Always torch's function but
    in deterministic mode: two matrix products there.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if (height, width) == (1, 1):
        return maps.mean(dim=(2, 3), keepdim=True)
    if not torch.are_deterministic_algorithms_enabled():
        return F.adaptive_avg_pool2d(maps, (height, width))
    rows = _averaging_matrix(maps.shape[2], height, maps.device)
    columns = _averaging_matrix(maps.shape[3], width, maps.device)
    return _apply(rows, maps, columns)


def resize_bilinear(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Return (B, C, h, w) maps resized to `size` = (height, width), corners aligned, same dtype.

    Two matrix products in float32 (float64 for float64), which on a CPU are two to four times as
    fast as F.interpolate at the size of small tasks; F.interpolate on a GPU, except in
    deterministic mode.
    """
    height, width = size
    if (height, width) == tuple(maps.shape[2:]):
        return maps
    if maps.is_cuda and not torch.are_deterministic_algorithms_enabled():
        return F.interpolate(maps, (height, width), mode="bilinear", align_corners=True)
    rows = _interpolation_matrix(maps.shape[2], height, maps.device)
    columns = _interpolation_matrix(maps.shape[3], width, maps.device)
    return _apply(rows, maps, columns)


def _apply(rows: Tensor, maps: Tensor, columns: Tensor) -> Tensor:
    """Return rows @ maps @ columns^T; in float32 at least, since bfloat16 weights would blur."""
    precision = torch.promote_types(maps.dtype, torch.float32)
    with torch.autocast(maps.device.type, enabled=False):
        across = maps.to(precision) @ columns.to(precision).T
        return (rows.to(precision) @ across).to(maps.dtype)


def _averaging_matrix(length: int, bins: int, device: torch.device) -> Tensor:
    """Return (bins, length): row i averages positions floor(i n / m) up to ceil((i + 1) n / m)."""
    index = torch.arange(bins, device=device)[:, None]
    start, end = index * length // bins, -((index + 1) * -length // bins)
    position = torch.arange(length, device=device)
    return ((position >= start) & (position < end)) / (end - start).double()


def _interpolation_matrix(length: int, points: int, device: torch.device) -> Tensor:
    """Return the (points, length) matrix of bilinear weights; first and last points on the ends."""
    step = (length - 1) / max(points - 1, 1)
    position = torch.arange(points, dtype=torch.float64, device=device)[:, None] * step
    distance = (position - torch.arange(length, device=device)).abs()
    return (1 - distance).clamp(min=0)
