"""Knowledge review: the student's deep features help its shallow ones to imitate the teacher's.

Source: Chen et al., "Distilling Knowledge via Knowledge Review", CVPR 2021, eq. 7 and figures 3, 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.errors import MethodError
from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import channels_of
from trainers.models.backbones import STAGES
from trainers.models.outputs import Shape
from trainers.models.resampling import adaptive_average
from trainers.terms.autocast import like_nets
from trainers.terms.grid import on_one_grid

POOLED = (4, 2, 1)  # sizes of the pooled maps, whose weights are 1/2, 1/4, 1/8


class Fusion(nn.Module):
    """Attention-based fusion of a student's feature with what came from the deeper levels."""

    def __init__(self, incoming: int, middle: int, outgoing: int, is_deepest: bool) -> None:
        super().__init__()
        self.conv1 = _convolution(incoming, middle, kernel=1)
        self.conv2 = _convolution(middle, outgoing, kernel=3)
        self.attention = None if is_deepest else nn.Conv2d(2 * middle, 2, 1)

    def forward(self, feature_BChw: Tensor, deeper_BMhw: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the feature to compare with the teacher's, and what the next level gets.

        What comes from deeper levels is resized to this one's map, by its nearest position.
        """
        fused_BMhw: Tensor = self.conv1(feature_BChw)
        if self.attention is not None and deeper_BMhw is not None:
            deeper_BMhw = _nearest(deeper_BMhw, fused_BMhw.shape[2:])
            gates_B2hw = self.attention(torch.cat([fused_BMhw, deeper_BMhw], 1)).sigmoid()
            fused_BMhw = fused_BMhw * gates_B2hw[:, :1] + deeper_BMhw * gates_B2hw[:, 1:]
        return self.conv2(fused_BMhw), fused_BMhw


class Review(nn.Module):
    """Fuses the features of all levels, given from the shallowest to the deepest."""

    def __init__(self, incoming: Sequence[int], middle: int, outgoing: Sequence[int]) -> None:
        super().__init__()
        deepest = len(incoming) - 1
        self.fusions = nn.ModuleList(
            Fusion(*channels, is_deepest=level == deepest)
            for level, channels in enumerate(
                zip(incoming, [middle] * len(incoming), outgoing, strict=True)
            )
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return as many features with the teacher's channels, each at its own map size."""
        results: list[Tensor] = []
        deeper: Tensor | None = None
        with like_nets(features[0]):
            for fusion, feature in zip(reversed(self.fusions), reversed(features), strict=True):
                result, deeper = fusion(feature, deeper)
                results.insert(0, result.to(feature.dtype))
        return results


def hierarchical_mse(student_BChw: Tensor, teacher_BChw: Tensor) -> Tensor:
    """Return the mean squared difference, averaged over the map and its poolings to 4, 2 and 1.

    Their weights are 1, 1/2, 1/4 and 1/8, divided by the sum of those there are: a pooling that is
    no smaller than the map falls out (released code: than its height; its maps are square). 0 for
    equal features. Maps of two sizes are compared at the larger.
    """
    student_BChw, teacher_BChw = on_one_grid(student_BChw, teacher_BChw.detach())
    loss = functional.mse_loss(student_BChw, teacher_BChw)
    total = 1.0
    smaller = [size for size in POOLED if size < min(student_BChw.shape[2:])]
    for exponent, size in enumerate(smaller, start=1):
        pooled = (adaptive_average(x, size) for x in (student_BChw, teacher_BChw))
        loss = loss + 0.5**exponent * functional.mse_loss(next(pooled), next(pooled))
        total += 0.5**exponent
    return loss / total


class KnowledgeReview(Method):
    """The four stages of the backbone, fused from the deepest to the shallowest.

    The fusions are half as wide as the student's last stage: 256 for ResNet-18, as wide as the
    features of the released detectors; its classifiers take 64 to 512.
    """

    terms = ("review",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        if not 0 <= float(values["warm_up"]) < 1:
            raise MethodError(
                f"method reviewkd: warm_up must lie in [0, 1), got {values['warm_up']!r}"
            )
        if self.active:
            incoming, outgoing = (
                [channels_of(net, name) for name in STAGES] for net in (student, teacher)
            )
            self.fused = Review(incoming, max(1, incoming[-1] // 2), outgoing)

    @classmethod
    def last_switch(cls, values: Hyperparameters) -> float:
        """Return the end of the warm-up."""
        return float(values["warm_up"])

    def review(self, step: Step) -> Tensor:
        """Return the sum over stages of the distance to the teacher's, times the warm-up's ramp.

        The ramp rises linearly from 0 to 1 during the share `warm_up` of training.
        """
        results = self.fused([step.student.features[name] for name in STAGES])
        targets = [step.teacher_outputs.features[name] for name in STAGES]
        pairs = zip(results, targets, strict=True)
        distances = torch.stack([hierarchical_mse(result, target) for result, target in pairs])
        return self.ramp(step.progress) * distances.sum()

    def ramp(self, progress: float) -> float:
        """Return the factor of the warm-up at this point of training, in [0, 1]."""
        warm_up = float(self.values["warm_up"])
        return min(1.0, progress / warm_up) if warm_up else 1.0


def _convolution(incoming: int, outgoing: int, kernel: int) -> nn.Sequential:
    """Return a convolution without bias, drawn as in the released code, and its batch norm."""
    convolution = nn.Conv2d(incoming, outgoing, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outgoing))


def _nearest(maps: Tensor, size: torch.Size) -> Tensor:
    return maps if maps.shape[2:] == size else functional.interpolate(maps, size, mode="nearest")
