"""Labels at the resolution of a map."""

from __future__ import annotations

import torch
from torch import Tensor


def labels_on_map(labels_BHW: Tensor, size: torch.Size) -> Tensor:
    """Return the labels at the positions of a map of `size` = (h, w), by nearest neighbour."""
    rows, columns = (
        torch.arange(points, device=labels_BHW.device) * length // points
        for points, length in zip(size, labels_BHW.shape[-2:], strict=True)
    )
    return labels_BHW[:, rows[:, None], columns]
