"""Means of features over the positions of each class.

B images, K classes, C channels, N = h w positions of a map.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.terms.map_labels import labels_on_map


def members_on_map(labels_BHW: Tensor, num_classes: int, map_BChw: Tensor) -> Tensor:
    """Return 1 where a position of the map is of a class, else 0: (B, K, N), of the map's dtype.

    Ignored positions are of no class. As a matrix it sums features without a scatter, which a GPU
    could not repeat bit by bit.
    """
    labels_BN = labels_on_map(labels_BHW, map_BChw.shape[-2:]).flatten(1)
    classes_K1 = torch.arange(num_classes, device=labels_BN.device).unsqueeze(1)
    return (labels_BN.unsqueeze(1) == classes_K1).to(map_BChw.dtype)


def class_means(map_BChw: Tensor, members_BKN: Tensor) -> Tensor:
    """Return the mean feature of each class in each image, (B, K, C); about 0 where absent."""
    counts_BK1 = members_BKN.sum(2, keepdim=True)
    return members_BKN @ map_BChw.flatten(2).transpose(1, 2) / (counts_BK1 + 1e-6)


def safe_length(vectors: Tensor, dim: int) -> Tensor:
    """Return lengths along `dim`, kept as a dimension; 1 for vectors of zeros.

    Divided by it, these stay zeros and get a gradient like others.
    """
    squares = vectors.square().sum(dim, keepdim=True)
    return squares.where(squares > 0, 1).sqrt().clamp(min=1e-8)
