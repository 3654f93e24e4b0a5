"""Logit standardisation: match the shape of the logits, not their range.

Source: Sun et al., "Logit Standardization in Knowledge Distillation", CVPR 2024, algorithm 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import require_choices, require_positive
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid
from trainers.terms.pixel_kl import pixel_kl

EPSILON = 1e-7  # on the deviation, as in the authors' code


def logit_standardised_kl(
    student_BKhw: Tensor,
    teacher_BKhw: Tensor,
    temperature: float = 2.0,
    deviation: str = "population",
) -> Tensor:
    """Return the pixel divergence of standardised logits, in nats x temperature^2.

    0 where the student's logits are the teacher's times a positive factor plus a constant. The
    scaling is that of `pixel_kl`, and of the publication. Logits of two sizes are resized before
    they are standardised.
    """
    student_BKhw, teacher_BKhw = on_one_grid(student_BKhw, teacher_BKhw.detach())
    return pixel_kl(
        standardised(student_BKhw, deviation), standardised(teacher_BKhw, deviation), temperature
    )


def standardised(logits_BKhw: Tensor, deviation: str = "population") -> Tensor:
    """Return the logits less their mean over classes, over their standard deviation plus 1e-7.

    The paper divides the sum of squares by the number of classes, `population`; the authors' code
    by one less, `sample`. Logits without deviation become 0.
    """
    centred_BKhw = logits_BKhw - logits_BKhw.mean(1, keepdim=True)
    classes = logits_BKhw.shape[1]
    divisor = max(classes - 1, 1) if deviation == "sample" else classes
    # Unlike torch.std, the norm has a gradient of 0 where its argument is 0.
    norm_B1hw: Tensor = torch.linalg.vector_norm(centred_BKhw, dim=1, keepdim=True)
    return centred_BKhw / (norm_B1hw / math.sqrt(divisor) + EPSILON)


class LogitStandardisation(Method):
    """The divergence of standardised logits."""

    terms = ("logit_standardised_kl",)
    vanishing = ("logit_standardised_kl",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("lskd", values, "temperature")
        require_choices("lskd", values, {"deviation": ("population", "sample")})

    def logit_standardised_kl(self, step: Step) -> Tensor:
        """Return the divergence between the standardised logits at the values' temperature."""
        maps = (step.student.logits, step.teacher_outputs.logits)
        temperature, deviation = float(self.values["temperature"]), str(self.values["deviation"])
        return logit_standardised_kl(*maps, temperature, deviation)
