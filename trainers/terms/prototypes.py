"""Prototypes: the mean direction of each class's features over a group of images.

Source: Tian et al., "Adaptive Perspective Distillation for Semantic Segmentation", TPAMI 2022, and
its code, https://github.com/dvlab-research/APD. B images, K classes, C channels, N positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.terms.class_means import members_on_map, safe_length


@dataclass(frozen=True)
class Prototypes:
    """Prototypes of each image's group, and how the image's positions compare with them."""

    vectors_BKC: Tensor  # of length 1; zeros where the class is absent
    cosines_BKhw: Tensor  # of each position with each prototype; 0 where the class is absent
    present_BK: Tensor  # bool: whether the group has a position of the class


def find_prototypes(
    map_BChw: Tensor, labels_BHW: Tensor, num_classes: int, group: int
) -> Prototypes:
    """Return the prototypes of a feature under labels resized to it by nearest neighbour.

    A group is `group` consecutive images, published: those of one GPU. The last may be smaller.
    """
    members_BKN = members_on_map(labels_BHW, num_classes, map_BChw)
    features_BCN = map_BChw.flatten(2)
    directions_BCN = features_BCN / safe_length(features_BCN, 1)
    sums_BKC = _over_groups(members_BKN @ directions_BCN.transpose(1, 2), group)
    vectors_BKC = sums_BKC / safe_length(sums_BKC, 2)
    cosines_BKN = vectors_BKC @ directions_BCN
    return Prototypes(
        vectors_BKC=vectors_BKC,
        cosines_BKhw=cosines_BKN.view(*cosines_BKN.shape[:2], *map_BChw.shape[2:]),
        present_BK=_over_groups(members_BKN.sum(2), group) > 0,
    )


def prototype_kl(student: Prototypes, teacher: Prototypes, scale: float) -> Tensor:
    """Return KL(teacher || student) of softmax(scale x cosine) over present classes; 0 if equal.

    In nats a position, divided by the number of classes present as in the released code, mean over
    positions and images; an image whose group has no class counts as 0.
    """
    absent_BK11 = ~teacher.present_BK[:, :, None, None]
    # a finite number: where no class is present, infinity would give NaN
    logs_BKhw = [
        (scale * each.cosines_BKhw).masked_fill(absent_BK11, -1e9).log_softmax(1)
        for each in (student, teacher)
    ]
    divergence_B = (logs_BKhw[1].exp() * (logs_BKhw[1] - logs_BKhw[0])).sum(1).mean((1, 2))
    return (divergence_B / _num_present(teacher)).mean()


def prototype_align(student: Prototypes, teacher: Prototypes) -> Tensor:
    """Return half of 1 - cosine between both nets' prototypes; 0 if equal, at most 1.

    Mean over the classes present in a group and over images.
    """
    cosines_BK = (student.vectors_BKC * teacher.vectors_BKC).sum(2)
    distances_B = (0.5 * (1 - cosines_BK) * teacher.present_BK).sum(1)
    return (distances_B / _num_present(teacher)).mean()


def _num_present(prototypes: Prototypes) -> Tensor:
    return prototypes.present_BK.sum(1).clamp(min=1)


def _over_groups(values: Tensor, group: int) -> Tensor:
    """Return, for each image, the sum of values (B, ...) over its group."""
    batch = len(values)
    num_groups = -(-batch // group)
    filling = values.new_zeros(num_groups * group - batch, *values.shape[1:])
    grouped = torch.cat([values, filling]).view(num_groups, group, *values.shape[1:])
    sums = grouped.sum(1, keepdim=True).expand_as(grouped)
    return sums.flatten(0, 1)[:batch]
