"""The loss against the labels, shared by all methods.

B images, K classes, h w positions of the logits, H W pixels of the labels; 255 = ignore.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.data.dataset import IGNORE
from trainers.models.outputs import Outputs
from trainers.models.resampling import resize_bilinear


def cross_entropy(student: Outputs, labels_BHW: Tensor, auxiliary_weight: float) -> Tensor:
    """Return the mean cross-entropy over valid pixels, in nats, plus the auxiliary head's share.

    Logits are upsampled bilinearly (corners aligned) to the labels' size. Where no pixel is valid
    the loss is 0, with a gradient of 0. Source: the public recipes of CIRKD (CVPR 2022) and RDD.
    """
    loss = _mean_cross_entropy(student.logits, labels_BHW)
    if student.aux_logits is not None:
        loss = loss + auxiliary_weight * _mean_cross_entropy(student.aux_logits, labels_BHW)
    return loss


def pixel_log_probabilities(logits_BKhw: Tensor, size: torch.Size) -> Tensor:
    """Return log-probabilities (B, K, H, W) of logits upsampled to the labels' size (H, W)."""
    return resize_bilinear(logits_BKhw, size).log_softmax(1)


def label_log_probabilities(log_probabilities_BKHW: Tensor, labels_BHW: Tensor) -> Tensor:
    """Return the log-probability (B, H, W) of each pixel's label; 0 where it is ignored.

    This is cross-entropy without its sign. It gathers along the classes since the CUDA kernels of
    torch's two-dimensional cross-entropy have no deterministic form; on a CPU it costs about the
    same.
    """
    valid_BHW = labels_BHW != IGNORE
    index_B1HW = labels_BHW.where(valid_BHW, 0).unsqueeze(1)
    return log_probabilities_BKHW.gather(1, index_B1HW).squeeze(1).where(valid_BHW, 0)


def weighted_cross_entropy(
    log_probabilities_BKHW: Tensor, labels_BHW: Tensor, weights_BHW: Tensor
) -> Tensor:
    """Return sum(weight x cross-entropy) / number of valid pixels; 0 where none is valid.

    The mean is over all valid pixels whatever their weight (RDD, arXiv 2407.03719, eq. 10).
    """
    losses_BHW = -label_log_probabilities(log_probabilities_BKHW, labels_BHW)
    return (weights_BHW * losses_BHW).sum() / num_valid(labels_BHW)


def num_valid(labels_BHW: Tensor) -> Tensor:
    """Return the number of pixels that are not ignored, as a tensor, at least 1."""
    return (labels_BHW != IGNORE).sum().clamp(min=1)


def _mean_cross_entropy(logits_BKhw: Tensor, labels_BHW: Tensor) -> Tensor:
    log_probabilities_BKHW = pixel_log_probabilities(logits_BKhw, labels_BHW.shape[-2:])
    picked_BHW = label_log_probabilities(log_probabilities_BKHW, labels_BHW)
    return -picked_BHW.sum() / num_valid(labels_BHW)
