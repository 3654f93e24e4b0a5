"""Masked distillation: learnt tokens select positions, and there logits are compared.

Source: Huang et al., "Masked Distillation with Receptive Tokens", ICLR 2023; code:
https://github.com/hunto/MasKD. B images, K classes, T tokens, N positions.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from trainers.errors import MethodError
from trainers.method_api.method import Classify, Hyperparameters, Method, Preparation, Step
from trainers.method_api.task_loss import cross_entropy
from trainers.models.outputs import Outputs, Shape
from trainers.terms.grid import on_one_grid

TOKENS = 8


def masked_logits(student_BKhw: Tensor, teacher_BKhw: Tensor, tokens_TK: Tensor) -> Tensor:
    """Return half the squared difference under each token's mask; 0 for equal logits.

    0.5 x mean over images, tokens and classes of sum (m S - m T)^2 / (sum m + 1e-5) with m =
    sigmoid(token . T): the mask counts twice, as in the released code. Maps of two sizes are
    compared at the larger.
    """
    student_BKhw, teacher_BKhw = on_one_grid(student_BKhw, teacher_BKhw.detach())
    with torch.no_grad():
        masks_BTN = token_masks(teacher_BKhw, tokens_TK)
        weights_BN = (masks_BTN.square() / (masks_BTN.sum(2, keepdim=True) + 1e-5)).mean(1)
    squares_BN = (student_BKhw - teacher_BKhw).square().mean(1).flatten(1)
    return 0.5 * (weights_BN * squares_BN).sum(1).mean()


def token_masks(logits_BKhw: Tensor, tokens_TK: Tensor) -> Tensor:
    """Return each token's mask of positions, (B, T, N) in (0, 1)."""
    return (tokens_TK @ logits_BKhw.flatten(2)).sigmoid()


def overlap(masks_BTN: Tensor) -> Tensor:
    """Return the mean dice coefficient of all pairs of different tokens; 0 for a single token."""
    products_BTT = masks_BTN @ masks_BTN.transpose(1, 2)
    squares_BT = products_BTT.diagonal(dim1=1, dim2=2) + 1e-12
    dice_BTT = 2 * products_BTT / (squares_BT[:, None] + squares_BT[:, :, None])
    tokens = masks_BTN.shape[1]
    others_BTT = dice_BTT * (1 - torch.eye(tokens, dtype=dice_BTT.dtype, device=dice_BTT.device))
    return others_BTT.sum((1, 2)).mean() / max(1, tokens * (tokens - 1))


class Tokens(Preparation):
    """Eight tokens on the teacher's logits, trained by its task loss and their diversity.

    The logits are weighted by the sum of the masks and meet the labels; to that comes the masks'
    mean dice coefficient. The released code takes 10,000 steps of 16 images with a falling rate,
    54 epochs of Cityscapes and 8 of ADE20K; here it is 10 epochs at a constant rate.
    """

    epochs: ClassVar[float] = 10.0

    def __init__(self, teacher: Shape) -> None:
        super().__init__(teacher)
        self.tokens = nn.Parameter(0.01 * torch.randn(TOKENS, teacher.num_classes))

    def loss(self, teacher: Outputs, labels_BHW: Tensor, classify: Classify) -> Tensor:
        """Return the task loss of the masked logits plus the masks' overlap."""
        del classify
        logits_BKhw = teacher.logits.detach()
        masks_BTN = token_masks(logits_BKhw, self.tokens)
        weights_B1hw = masks_BTN.sum(1).view(-1, 1, *logits_BKhw.shape[-2:])
        seen = Outputs(logits=logits_BKhw * weights_B1hw)
        return cross_entropy(seen, labels_BHW, 0.0) + overlap(masks_BTN)

    def build_optimizer(self) -> Optimizer:
        """Return SGD with the released code's settings."""
        return SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)


class MaskedDistillation(Method):
    """The masked difference of logits and, with `auxiliary` times the weight, of auxiliary logits.

    One set of tokens makes the masks of both, as in the released code. Where the student has no
    auxiliary head that part is left out.
    """

    needs_teacher_aux = True
    terms = ("masked_logits",)
    vanishing = ("masked_logits",)
    preparation: ClassVar[type[Preparation] | None] = Tokens

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        if teacher is not None and not teacher.auxiliary:
            raise MethodError("method maskd: the teacher must have an auxiliary head, it has none")

    def masked_logits(self, step: Step) -> Tensor:
        """Return the term of the logits plus the auxiliary logits' share."""
        student, teacher, learnt = step.student, step.teacher_outputs, self.prepared
        if not isinstance(learnt, Tokens):
            raise MethodError(f"method maskd needs Tokens, got {type(learnt).__name__}")
        loss = masked_logits(student.logits, teacher.logits, learnt.tokens)
        if student.aux_logits is None:
            return loss
        if teacher.aux_logits is None:
            raise MethodError(
                "method maskd needs the teacher's auxiliary logits, the step has none"
            )
        share = masked_logits(student.aux_logits, teacher.aux_logits, learnt.tokens)
        return loss + float(self.values["auxiliary"]) * share
