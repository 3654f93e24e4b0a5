"""The terms of CIRKD and CIRKDv2: relations between pixels, regions and channels across images.

Source: Yang et al., "Cross-Image Relational Knowledge Distillation for Semantic Segmentation", CVPR
2022, and its extension to channels; code: https://github.com/winycg/CIRKD. B images, C channels of
the student, D of the teacher, N positions, M stored vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.data.dataset import IGNORE
from trainers.method_api.task_loss import num_valid
from trainers.terms.grid import on_one_grid
from trainers.terms.map_labels import labels_on_map
from trainers.terms.similarity import similarity_kl, unit

# Vectors (M, D) of length 1, and which of them there really are.
StoredVectors = tuple[Tensor, Tensor]


class Projection(nn.Sequential):
    """From the student's feature to the teacher's channels: 1x1 convolution, batch norm, ReLU, 1x1.

    The batch norm is over all images of a batch, in released code over those of all GPUs.
    """

    def __init__(self, student: int, teacher: int) -> None:
        super().__init__(
            nn.Conv2d(student, teacher, 1, bias=False),
            nn.BatchNorm2d(teacher),
            nn.ReLU(),
            nn.Conv2d(teacher, teacher, 1, bias=False),
        )


def cross_image_pixel(
    student_BChw: Tensor, teacher_BDhw: Tensor, temperature: float = 0.1, group: int = 2
) -> Tensor:
    """Return the divergence between the nets' relations of pixels in nats; 0 for equal features.

    For all ordered pairs of images of a group: the KL divergence between softmax(cosine /
    temperature) of a pixel of the first with all pixels of the second, mean over pixels and pairs.
    Groups are `group` consecutive images, the last perhaps fewer; all images count the same.
    Ignored pixels count. The channels need not agree; maps of two sizes are compared at the larger.
    Released code pools maps of 256 positions and more a side by 4 first; here nothing is pooled.
    """
    maps = on_one_grid(student_BChw, teacher_BDhw.detach())
    student_BNC, teacher_BND = (unit(x, 1).flatten(2).transpose(1, 2) for x in maps)
    return _within_groups(student_BNC, teacher_BND, temperature, group)


def memory_relation(
    student_BDhw: Tensor,
    teacher_BDhw: Tensor,
    labels_BHW: Tensor,
    stored: StoredVectors,
    temperature: float = 0.1,
) -> Tensor:
    """Return the divergence between the nets' relations of pixels to stored vectors in nats.

    KL divergence between softmax(cosine / temperature) over the stored vectors, mean over all
    valid pixels of the batch; 0 where none is valid. The student's feature is projected before.
    """
    maps = on_one_grid(student_BDhw, teacher_BDhw.detach())
    student_RD, teacher_RD = (unit(x, 1).flatten(2).transpose(1, 2).flatten(0, 1) for x in maps)
    labels_Bhw = labels_on_map(labels_BHW, maps[0].shape[-2:])
    weights_R = (labels_Bhw != IGNORE).flatten() / num_valid(labels_Bhw).to(student_RD.dtype)
    return _to_stored(student_RD, teacher_RD, weights_R, stored, temperature)


def cross_image_channel(
    student_BDn: Tensor, teacher_BDn: Tensor, temperature: float = 0.1, group: int = 2
) -> Tensor:
    """Return the same as `cross_image_pixel` between channels, given as unit vectors over space."""
    return _within_groups(student_BDn, teacher_BDn.detach(), temperature, group)


def memory_channel(
    student_BDn: Tensor, teacher_BDn: Tensor, stored: StoredVectors, temperature: float = 0.1
) -> Tensor:
    """Return the divergence of the channels' relations to stored ones, mean over channels."""
    student, teacher = student_BDn.flatten(0, 1), teacher_BDn.detach().flatten(0, 1)
    weights = torch.full_like(student[:, 0], 1 / len(student)).detach()
    return _to_stored(student, teacher, weights, stored, temperature)


def channel_mse(student_BDn: Tensor, teacher_BDn: Tensor) -> Tensor:
    """Return the mean squared difference of channels given as unit vectors over space."""
    return functional.mse_loss(student_BDn, teacher_BDn.detach())


def _within_groups(
    student_BNC: Tensor, teacher_BND: Tensor, temperature: float, group: int
) -> Tensor:
    parts = zip(torch.split(student_BNC, group), torch.split(teacher_BND, group), strict=True)
    total = student_BNC.new_zeros(())
    for student, teacher in parts:
        rows_S, rows_T = student.flatten(0, 1).contiguous(), teacher.flatten(0, 1).contiguous()
        weights = rows_T.new_full((len(rows_T),), 1 / (len(student_BNC) * student.shape[1]))
        total = total + similarity_kl(
            (rows_S, rows_S), (rows_T, rows_T), weights, temperature, blocks=len(student)
        )
    return total


def _to_stored(
    student_RD: Tensor,
    teacher_RD: Tensor,
    weights_R: Tensor,
    stored: StoredVectors,
    temperature: float,
) -> Tensor:
    vectors_MD, present_M = stored
    return similarity_kl(
        (student_RD.contiguous(), vectors_MD),
        (teacher_RD.contiguous(), vectors_MD),
        weights_R,
        temperature,
        present_M=present_M,
    )
