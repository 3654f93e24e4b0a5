"""Feature distillation in its canonical form: imitate the teacher's feature, value by value.

Source: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, with the settings of CIRKD
(Yang et al., CVPR 2022): one loss during the whole training instead of a stage before it.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import channels_of, require_positive
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid
from trainers.terms.pixel_kl import pixel_kl


def feature_mse(student_BChw: Tensor, teacher_BChw: Tensor) -> Tensor:
    """Return the mean squared difference over all elements; 0 for equal features.

    Both have C channels: the student's are projected before. Maps of two sizes are compared at
    the larger; the publications know one size only.
    """
    student_BChw, teacher_BChw = on_one_grid(student_BChw, teacher_BChw.detach())
    return functional.mse_loss(student_BChw, teacher_BChw)


class FitNet(Method):
    """A 1x1 convolution without bias takes the student's head feature to the teacher's channels.

    It is there even where both have the same number of channels, as in CIRKD's code.
    """

    terms = ("pixel_kl", "feature_mse")
    vanishing = ("pixel_kl",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("fitnet", values, "temperature")
        if "feature_mse" in self.active:
            channels = (channels_of(student, "head"), channels_of(teacher, "head"))
            self.projection = nn.Conv2d(*channels, kernel_size=1, bias=False)

    def pixel_kl(self, step: Step) -> Tensor:
        """Return the divergence between the logits, as in `kd`."""
        temperature = float(self.values["temperature"])
        return pixel_kl(step.student.logits, step.teacher_outputs.logits, temperature)

    def feature_mse(self, step: Step) -> Tensor:
        """Return the distance of the projected head feature from the teacher's."""
        projected = self.projection(step.student.features["head"])
        return feature_mse(projected, step.teacher_outputs.features["head"])
