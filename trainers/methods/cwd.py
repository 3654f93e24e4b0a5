"""Channel-wise distillation: match where each channel is active, not how strongly.

Source: Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021, eq. 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import channels_of, require_choices, require_positive
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid

FEATURES = ("logits", "stage1", "stage2", "stage3", "stage4", "head")


def channel_kl(student_BChw: Tensor, teacher_BChw: Tensor, temperature: float = 1.0) -> Tensor:
    """Return temperature^2 x KL(teacher || student) in nats per channel; 0 for equal maps.

    Each channel of each image is a distribution over its positions, ignored ones included; the
    mean is over batch and channels. The authors' code takes the logarithm of a softmax, which ends
    at -inf for peaked maps; a public port (CIRKD) divides by the number of channels that the
    student had before its 1x1 convolution. Maps of two sizes are compared at the larger.
    """
    student_BChw, teacher_BChw = on_one_grid(student_BChw, teacher_BChw.detach())
    with torch.no_grad():
        target_BCN = (teacher_BChw / temperature).flatten(2).log_softmax(2)
    student_BCN = (student_BChw / temperature).flatten(2).log_softmax(2)
    divergence = functional.kl_div(student_BCN, target_BCN, log_target=True, reduction="sum")
    num_channels = student_BChw.shape[0] * student_BChw.shape[1]
    return temperature**2 * divergence / num_channels


class ChannelWiseDistillation(Method):
    """The channels of the logits, as published for them, or those of a feature.

    `features` names what is compared. A feature whose width differs from the teacher's goes through
    a learnt 1x1 convolution without bias first (CIRKD's code has 50 at temperature 4 on features).
    """

    terms = ("channel_kl",)
    vanishing = ("channel_kl",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("cwd", values, "temperature")
        require_choices("cwd", values, {"features": FEATURES})
        self.align: nn.Module = nn.Identity()
        if values["features"] != "logits":
            feature = str(values["features"])
            width, wanted = channels_of(student, feature), channels_of(teacher, feature)
            if width != wanted:
                self.align = nn.Conv2d(width, wanted, kernel_size=1, bias=False)

    def channel_kl(self, step: Step) -> Tensor:
        """Return the divergence between teacher and student at the values' temperature."""
        name, temperature = str(self.values["features"]), float(self.values["temperature"])
        if name == "logits":
            return channel_kl(step.student.logits, step.teacher_outputs.logits, temperature)
        feature = self.align(step.student.features[name])
        return channel_kl(feature, step.teacher_outputs.features[name], temperature)
