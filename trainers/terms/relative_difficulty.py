"""Relative difficulty: which pixels of the task loss matter, judged by teacher and student.

Source: Liang et al., "Relative Difficulty Distillation for Semantic Segmentation", 2024 (arXiv
2407.03719). No gradient flows through any map here. B images, K classes, H W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.data.dataset import IGNORE
from trainers.method_api.task_loss import label_log_probabilities
from trainers.terms.grid import on_one_grid


@torch.no_grad()
def agreement_of_heads(
    teacher_BKHW: Tensor, teacher_aux_BKHW: Tensor, direction: str = "main_aux"
) -> Tensor:
    """Return exp(-KL) between the teacher's two heads, (B, H, W) in [0, 1]: 1 where they agree.

    The early stage's weight. The paper has KL(main || auxiliary), the released code the reverse,
    `aux_main`. Heads of two sizes are compared at the larger.
    """
    main_BKHW, aux_BKHW = on_one_grid(teacher_BKHW, teacher_aux_BKHW)
    first, second = main_BKHW.log_softmax(1), aux_BKHW.log_softmax(1)
    if direction == "aux_main":
        first, second = second, first
    divergence_BHW = (first.exp() * (first - second)).sum(1)
    return divergence_BHW.neg().exp().clamp(max=1)  # rounding may take a divergence below 0


@torch.no_grad()
def confidence(log_probabilities_BKHW: Tensor, labels_BHW: Tensor, kind: str = "max") -> Tensor:
    """Return how sure a net is of each pixel, (B, H, W) in [0, 1]; 1 where it is ignored.

    The paper takes the probability of the likeliest class, `max`; the released code that of the
    label's class, `ground_truth`.
    """
    if kind == "ground_truth":
        return label_log_probabilities(log_probabilities_BKHW, labels_BHW).exp()
    return log_probabilities_BKHW.amax(1).where(labels_BHW != IGNORE, 0).exp()


@torch.no_grad()
def hard_pixels(confidence_BHW: Tensor, threshold: float, min_kept: int = 0) -> Tensor:
    """Return where the confidence is at most the threshold, (B, H, W) bool.

    With `min_kept`, the threshold rises until as many pixels of the image batch fall under it
    (released code: 100,000); where there are fewer, all do. The paper has no such rule.
    """
    if min_kept == 0:
        return confidence_BHW <= threshold
    rank = min(min_kept, confidence_BHW.numel())
    # Not kthvalue: torch refuses it on a GPU in deterministic mode, for the sake of its index.
    needed = confidence_BHW.flatten().topk(rank, largest=False, sorted=False).values.amax()
    return confidence_BHW <= needed.clamp(min=threshold)


def combine(student_hard: Tensor, teacher_hard: Tensor, combination: str = "xor") -> Tensor:
    """Return which pixels the later stage selects, bool: hard for one net alone in the paper.

    `or` and `and` are its ablations.
    """
    if combination == "or":
        return student_hard | teacher_hard
    if combination == "and":
        return student_hard & teacher_hard
    return student_hard ^ teacher_hard
