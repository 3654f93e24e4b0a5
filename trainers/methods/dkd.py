"""Decoupled distillation: how sure of the label, and how the rest is shared, weighted apart.

Source: Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022, eq. 6 and 7. B images, K
classes, h w positions, H W pixels of the labels; 255 = ignore.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.data.dataset import IGNORE
from trainers.errors import MethodError
from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.task_loss import num_valid
from trainers.method_api.value_checks import require_positive
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid
from trainers.terms.map_labels import labels_on_map


def dkd(
    student_BKhw: Tensor,
    teacher_BKhw: Tensor,
    labels_BHW: Tensor,
    weights: tuple[float, float] = (1.0, 8.0),
    temperature: float = 4.0,
) -> Tensor:
    """Return temperature^2 x (alpha x KL of (label, rest) + beta x KL within the rest), in nats.

    `weights` = (alpha, beta). The first compares two probabilities, that of the label's class and
    that of all others; the second the distributions over the others. Mean over the valid positions
    of the labels, nearest-resized to the maps; 0 where none is valid, and for equal logits. The
    publication's is a mean over images, and takes the logarithm of sums of a softmax, which
    underflow; the sums here are of exponentials. Maps of two sizes are compared at the larger.
    """
    student_BKhw, teacher_BKhw = on_one_grid(student_BKhw, teacher_BKhw.detach())
    labels_Bhw = labels_on_map(labels_BHW, student_BKhw.shape[-2:])
    classes_K11 = torch.arange(student_BKhw.shape[1], device=labels_BHW.device).view(-1, 1, 1)
    is_label_BKhw = labels_Bhw.unsqueeze(1) == classes_K11
    student = _decoupled(student_BKhw / temperature, is_label_BKhw)
    teacher = _decoupled(teacher_BKhw / temperature, is_label_BKhw)
    total_Bhw = torch.zeros_like(labels_Bhw, dtype=student_BKhw.dtype)
    for weight, target, other in zip(weights, teacher, student, strict=True):
        total_Bhw = total_Bhw + weight * (target.exp() * (target - other)).sum(1)
    total = total_Bhw.where(labels_Bhw != IGNORE, 0).sum()
    return temperature**2 * total / num_valid(labels_Bhw)


def _decoupled(logits_BKhw: Tensor, is_label_BKhw: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities of (label, rest), (B, 2, h, w), and within the rest, (B, K, h, w).

    The label's own place in the second holds the least number, whose exponential is 0: unlike
    infinity it may be subtracted, and there is one even where the rest is empty (one class).
    """
    logs_BKhw = logits_BKhw.log_softmax(1)
    rest_BKhw = logs_BKhw.masked_fill(is_label_BKhw, torch.finfo(logs_BKhw.dtype).min)
    rest_B1hw = rest_BKhw.logsumexp(1, keepdim=True)
    label_B1hw = logs_BKhw.where(is_label_BKhw, 0).sum(1, keepdim=True)
    return torch.cat([label_B1hw, rest_B1hw], 1), rest_BKhw - rest_B1hw


class DecoupledDistillation(Method):
    """The decoupled divergence of the logits, fading in over the first `warm_up` of training.

    The released code warms up in steps of an epoch, here it is linear in the steps.
    """

    terms = ("dkd",)
    vanishing = ("dkd",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("dkd", values, "temperature")
        if not 0 <= float(values["warm_up"]) <= 1:
            raise MethodError(f"method dkd: warm_up must lie in [0, 1], got {values['warm_up']!r}")

    @classmethod
    def last_switch(cls, values: Hyperparameters) -> float:
        """Return the end of the warm-up."""
        return float(values["warm_up"])

    def dkd(self, step: Step) -> Tensor:
        """Return the divergence times the share of the warm-up that is behind us."""
        warm_up = float(self.values["warm_up"])
        share = step.progress / warm_up if step.progress < warm_up else 1.0
        weights = (float(self.values["alpha"]), float(self.values["beta"]))
        maps = (step.student.logits, step.teacher_outputs.logits)
        return share * dkd(*maps, step.labels, weights, float(self.values["temperature"]))
