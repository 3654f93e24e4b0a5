"""Pictures of predictions: class colours laid over the image, for reports and for looking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainers.data.dataset import IGNORE, Colour

Bytes = NDArray[np.uint8]

MARGIN = 4  # white pixels between the panels


def overlay(image: Bytes, labels: Bytes, palette: Sequence[Colour], alpha: float = 0.6) -> Bytes:
    """Return an (H, W, 3) picture: the image (3, H, W) under the classes' colours.

    `alpha` is the share of the colour; ignored pixels (255) show the image alone.
    """
    table = np.zeros((IGNORE + 1, 3))
    table[: len(palette)] = palette
    picture = image.transpose(1, 2, 0)
    mixed = (1.0 - alpha) * picture + alpha * table[labels]
    return np.where((labels == IGNORE)[..., None], picture, mixed.round()).astype(np.uint8)


def side_by_side(
    image: Bytes, truth: Bytes, prediction: Bytes, palette: Sequence[Colour], alpha: float = 0.6
) -> Bytes:
    """Return one (H, 3 W + 2 margins, 3) picture: image (3, H, W), truth, prediction."""
    margin = np.full((image.shape[1], MARGIN, 3), 255, dtype=np.uint8)
    overlays = (overlay(image, labels, palette, alpha) for labels in (truth, prediction))
    left, right = overlays
    return np.hstack([image.transpose(1, 2, 0), margin, left, margin, right])
