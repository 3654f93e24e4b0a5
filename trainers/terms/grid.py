"""Bringing maps of different sizes onto one grid, so that terms can compare them."""

from __future__ import annotations

from torch import Tensor

from trainers.models.resampling import resize_bilinear


def on_one_grid(*maps: Tensor) -> tuple[Tensor, ...]:
    """Return maps (B, C, h, w) resized to the largest height and width among them.

    The smaller map is resized to the larger, so that nothing is thrown away; bilinear, corners
    aligned. Maps that have the size already are returned as they are.
    """
    size = (max(x.shape[-2] for x in maps), max(x.shape[-1] for x in maps))
    return tuple(resize_bilinear(x, size) for x in maps)
