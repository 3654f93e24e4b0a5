"""Normalised feature distillation: imitate the pattern of each channel, not its strength.

Source: Liu, Yang, Chen, "Normalized Feature Distillation for Semantic Segmentation", 2022 (arXiv
2207.05256). No public code: written after the paper's description.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import channels_of
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid

EPSILON = 1e-5  # added to variances, as in batch norm


def normalised_feature(student_BChw: Tensor, teacher_BChw: Tensor) -> Tensor:
    """Return the mean squared difference of features normalised over each image's positions.

    Every channel of every image gets mean 0 and variance 1; a constant one is all 0. Hence the
    value is 2 - 2 x the mean correlation of the channels, in [0, 4], and 0 where each channel is a
    rising linear function of the teacher's. Both have C channels. Maps of two sizes are compared at
    the larger; the publication knows one size only.
    """
    student_BChw, teacher_BChw = on_one_grid(student_BChw, teacher_BChw.detach())
    return functional.mse_loss(_normalised(student_BChw), _normalised(teacher_BChw))


def _normalised(feature_BChw: Tensor) -> Tensor:
    feature_BCN = feature_BChw.flatten(2)
    return functional.layer_norm(feature_BCN, feature_BCN.shape[2:], eps=EPSILON)


class NormalisedFeatureDistillation(Method):
    """The head features, through a 1x1 convolution where the nets' channels differ in number."""

    terms = ("normalised_feature",)
    vanishing = ("normalised_feature",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        channels = (channels_of(student, "head"), channels_of(teacher, "head"))
        self.projection: nn.Module = nn.Identity()
        if channels[0] != channels[1] and self.active:
            self.projection = nn.Conv2d(*channels, kernel_size=1, bias=False)

    def normalised_feature(self, step: Step) -> Tensor:
        """Return the distance of the normalised head features."""
        projected = self.projection(step.student.features["head"])
        return normalised_feature(projected, step.teacher_outputs.features["head"])
