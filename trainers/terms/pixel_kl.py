"""Pixel-wise distillation: match the teacher's class probabilities at every position.

Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, per position as in
Yang et al., CVPR 2022 (CIRKD).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from trainers.terms.grid import on_one_grid


def pixel_kl(student_BKHW: Tensor, teacher_BKHW: Tensor, temperature: float = 1.0) -> Tensor:
    """Return temperature^2 x KL(teacher || student) in nats per position; 0 for equal logits.

    Summed over classes, averaged over batch and positions, ignored pixels included (CIRKD, RDD).
    Others publish the same under other scalings, which convert by weights: summed over the batch
    and as a cross-entropy, which adds the teacher's entropy (SKD: x B), divided by the classes as
    well (IFVD, CWD: x 1/K), the last of logits upsampled to the image (APD). Logits of two sizes
    are compared at the larger; the publications know one size only.
    """
    student_BKHW, teacher_BKHW = on_one_grid(student_BKHW, teacher_BKHW.detach())
    with torch.no_grad():
        target_BKHW = (teacher_BKHW / temperature).log_softmax(1)
    divergence = functional.kl_div(
        (student_BKHW / temperature).log_softmax(1), target_BKHW, log_target=True, reduction="sum"
    )
    num_positions = student_BKHW.numel() // student_BKHW.shape[1]
    return temperature**2 * divergence / num_positions
