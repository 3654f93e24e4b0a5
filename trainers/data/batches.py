"""Augmented image batches as a pure function of (seed, step), made on the device from uint8 images.

Positions are drawn on the CPU, so that every device sees the same crops; pixels are gathered and
interpolated where the images lie, for the whole batch at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from trainers.data.dataset import IGNORE, Split, Triple
from trainers.tasks.schema import Augmentation


@dataclass(frozen=True)
class Normalisation:
    """What is subtracted from each channel, and what it is then divided by; in 0..255."""

    mean: Triple
    std: Triple


# The constants that nets with ImageNet weights were trained under.
IMAGENET = Normalisation(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))


FAR = 9.0  # grid units: where all weights of the interpolation fall on the padding


class Draw(IntEnum):
    """What a random stream is for: it keeps the streams of one seed apart."""

    ORDER = 0
    AUGMENTATION = 1


def normalise(images: Tensor, normalisation: Normalisation) -> Tensor:
    """Return (B, 3, H, W) images of 0..255, of any dtype, as float32 of mean 0 and deviation 1."""
    mean, std = _constants(normalisation, images.device)
    return images.to(torch.float32, copy=True).sub_(mean).div_(std)


@cache
def _constants(normalisation: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and deviation as (3, 1, 1), copied once: a copy from plain memory waits."""
    mean, std = (
        torch.tensor(values, dtype=torch.float32).to(device).view(3, 1, 1)
        for values in (normalisation.mean, normalisation.std)
    )
    return mean, std


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Batches of a split under random scale, flip and crop; stateless, so that resume is exact.

    The images come in epochs, each a permutation of its own; a batch may span two or more. The
    scale is uniform in [low, high] (continuous, where public recipes draw from steps of 0.1), the
    crop uniform within the scaled image, and an image smaller than the crop lies anywhere in it.
    Images are interpolated bilinearly, without a filter when they shrink (as OpenCV does in
    the public recipes); labels take the pixel they fall in. Padding is the mean colour and 255.
    """

    split: Split
    augmentation: Augmentation
    image_batch: int
    seed: int
    normalisation: Normalisation
    device: torch.device | str = "cpu"
    held: Split = field(init=False, repr=False)  # the split on the device

    def __post_init__(self) -> None:
        object.__setattr__(self, "held", self.split.to(self.device))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return float32 images (B, 3, h, w), normalised, and int64 labels (B, h, w) of a step."""
        height, width = self.held.labels.shape[1:]
        rng = np.random.default_rng([self.seed, Draw.AUGMENTATION, step])
        scale = rng.uniform(*self.augmentation.scale, self.image_batch)
        flip = rng.random(self.image_batch) < 0.5 if self.augmentation.flip else None
        y = _positions(rng.random(self.image_batch), scale, height, self.augmentation.crop[0])
        x = _positions(rng.random(self.image_batch), scale, width, self.augmentation.crop[1])
        if flip is not None:
            x = np.where(flip[:, None], width - x, x)
        index = self._to_device(self.order(step))
        y, x = y.astype(np.float32), x.astype(np.float32)
        return self._sample(index, self._to_device(y), self._to_device(x))

    def order(self, step: int) -> NDArray[np.int64]:
        """Return the indices of the images in the batch of a step, (B,)."""
        first, size = step * self.image_batch, len(self.held)
        last = first + self.image_batch
        epochs = [self._epoch(epoch) for epoch in range(first // size, -(-last // size))]
        start = first % size
        return np.concatenate(epochs)[start : start + self.image_batch]

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.seed, Draw.ORDER, epoch]).permutation(len(self.held))

    def _to_device(self, numbers: NDArray[Any]) -> Tensor:
        """Return the numbers on the device; from pinned memory, so that the CPU need not wait."""
        tensor = torch.from_numpy(numbers)
        if self.held.images.is_cuda:
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def _sample(self, index: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images `index` at rows y (B, h) and columns x (B, w), in source pixels."""
        images = normalise(self.held.images.index_select(0, index), self.normalisation)
        height, width = images.shape[2:]
        sampled = F.grid_sample(images, _grid(y, x, height, width), align_corners=False)
        return sampled, _nearest(self.held.labels, index, y, x)


def _nearest(labels: Tensor, index: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return the labels (B, h, w) of the pixels that (y, x) fall in, 255 beyond the image.

    Whole rows first, then their columns: a single gather by three indices takes five times as long.
    """
    height, width = labels.shape[1:]
    row = index[:, None] * height + y.long().clamp(0, height - 1)
    rows = labels.view(-1, width).index_select(0, row.flatten()).view(*y.shape, width)
    rows = rows.masked_fill_(_outside(y, height)[..., None], IGNORE)
    rows = F.pad(rows, (0, 1), value=IGNORE)  # one column more, for all that lies outside
    column = x.long().masked_fill_(_outside(x, width), width)
    return rows.gather(2, column[:, None, :].expand(-1, y.shape[1], -1)).long()


def _outside(positions: Tensor, size: int) -> Tensor:
    return (positions < 0) | (positions >= size)


def _positions(
    share: NDArray[np.float64], scale: NDArray[np.float64], size: int, crop: int
) -> NDArray[np.float64]:
    """Return where each pixel centre of a crop lies in the source, in source pixels, (B, crop).

    `share` in [0, 1) places the crop within the scaled image, or that image within a larger crop.
    """
    start = share * (scale * size - crop)
    return (np.arange(crop) + 0.5 + start[:, None]) / scale[:, None]


def _grid(y: Tensor, x: Tensor, height: int, width: int) -> Tensor:
    """Return the sampling grid (B, h, w, 2) of an axis-parallel map; -1..1 is the image."""
    shape = (len(y), y.shape[1], x.shape[1])
    rows = _grid_axis(y, height)[:, :, None].expand(shape)
    columns = _grid_axis(x, width)[:, None, :].expand(shape)
    return torch.stack((columns, rows), dim=-1)


def _grid_axis(positions: Tensor, size: int) -> Tensor:
    """Return positions in grid units: edge pixels unmixed with the padding, the rest far away."""
    inside = positions.clamp(0.5, size - 0.5) * (2.0 / size) - 1.0
    return inside.masked_fill_(_outside(positions, size), FAR)
