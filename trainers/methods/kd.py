"""Knowledge distillation of the logits: the plainest method with a teacher."""

from __future__ import annotations

from torch import Tensor

from trainers.errors import MethodError
from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.models.outputs import Shape
from trainers.terms.pixel_kl import pixel_kl


class KnowledgeDistillation(Method):
    """Hinton et al. 2015 per position, with the settings of CIRKD (CVPR 2022)."""

    terms = ("pixel_kl",)
    vanishing = ("pixel_kl",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        if not float(values["temperature"]) > 0:
            raise MethodError(f"method kd: temperature must be > 0, got {values['temperature']!r}")

    def pixel_kl(self, step: Step) -> Tensor:
        """Return the divergence between teacher and student at the values' temperature."""
        temperature = float(self.values["temperature"])
        return pixel_kl(step.student.logits, step.teacher_outputs.logits, temperature)
