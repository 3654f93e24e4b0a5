"""Attention transfer: imitate where the teacher's feature is strong, whatever the channel.

Source: Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, eq. 2.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import require_positive
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid
from trainers.terms.pixel_kl import pixel_kl


def attention_map(feature_BChw: Tensor) -> Tensor:
    """Return the mean square over channels at each position, (B, 1, h, w), not normalised."""
    return feature_BChw.square().mean(1, keepdim=True)


def attention(student_BChw: Tensor, teacher_BChw: Tensor) -> Tensor:
    """Return the squared distance of the attention maps, a mean over batch and positions.

    Each image's map has an L2 norm of 1, so the value lies in [0, 2 / (h w)]; 0 for maps that are
    proportional. Numbers of channels may differ; maps of two sizes are compared at the larger. The
    paper's text sums over the positions; its code takes the mean, with a weight of 1000 / 2.
    """
    maps = on_one_grid(attention_map(student_BChw), attention_map(teacher_BChw.detach()))
    student_BN, teacher_BN = (functional.normalize(x.flatten(1)) for x in maps)
    return functional.mse_loss(student_BN, teacher_BN)


class AttentionTransfer(Method):
    """Attention of the head feature, and the logits as in `kd`."""

    terms = ("pixel_kl", "attention")
    vanishing = ("pixel_kl", "attention")

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("at", values, "temperature")

    def pixel_kl(self, step: Step) -> Tensor:
        """Return the divergence between the logits, as in `kd`."""
        temperature = float(self.values["temperature"])
        return pixel_kl(step.student.logits, step.teacher_outputs.logits, temperature)

    def attention(self, step: Step) -> Tensor:
        """Return the distance of the attention maps of the head features."""
        return attention(step.student.features["head"], step.teacher_outputs.features["head"])
