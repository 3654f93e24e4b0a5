"""Overhauled feature distillation: imitate what fires, and keep quiet what does not.

Source: Heo et al., "A Comprehensive Overhaul of Feature Distillation", ICCV 2019, eq. 2 to 6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import channels_of, require_choices
from trainers.models.outputs import Shape
from trainers.terms.autocast import like_nets
from trainers.terms.grid import on_one_grid

# Elements of each feature for one image of the publication over the divisor of its released code:
# DeepLabV3+ on ResNet-101 at output stride 16, crops of 513x513. `head` is its decoder's.
PUBLISHED_ELEMENTS: Mapping[str, float] = {
    "stage1": 256 * 129**2 / 8,
    "stage2": 512 * 65**2 / 4,
    "stage3": 1024 * 33**2 / 2,
    "stage4": 2048 * 33**2 / 1,
    "head": 256 * 129**2 / 16,
}
RAREST = 0.001  # least share of negative responses whose mean the released code computes


def negative_mean(ratio_C: Tensor, deviation_C: Tensor) -> Tensor:
    """Return E[x | x < 0] of normal variables, given mean / deviation and deviation.

    Where x < 0 is rarer than 0.001 it is -3 x deviation, as in the released code.
    """
    negative_C: Tensor = torch.special.ndtr(-ratio_C)
    density_C = ratio_C.square().mul(-0.5).exp() / math.sqrt(2 * math.pi)
    means_C = ratio_C - density_C / negative_C.clamp(min=RAREST)
    return deviation_C * means_C.where(negative_C > RAREST, -3)


@torch.no_grad()
def rectified_margins(feature_BChw: Tensor) -> Tensor:
    """Return each channel's margin, (C, 1, 1), at most 0, from its values after a ReLU.

    The publication takes the mean of the negative responses of a normal variable, with the mean and
    deviation that the batch norm before the ReLU has learnt. After the ReLU those two follow from
    the share of positions above 0 and their mean, under the same assumption; over this batch. 0
    for a channel that never fires.
    """
    fired_BChw = feature_BChw.clamp(min=0)
    share_C = (fired_BChw > 0).to(feature_BChw.dtype).mean((0, 2, 3)).clamp(RAREST, 1 - RAREST)
    ratio_C = torch.special.ndtri(share_C)
    density_C = ratio_C.square().mul(-0.5).exp() / math.sqrt(2 * math.pi)
    deviation_C = fired_BChw.mean((0, 2, 3)) / (ratio_C * share_C + density_C)
    return negative_mean(ratio_C, deviation_C).view(-1, 1, 1)


@torch.no_grad()
def rectified_target(teacher_BChw: Tensor, margins_C11: Tensor) -> Tensor:
    """Return what the student is to imitate: max(x, margin), and the margin where x is 0.

    A ReLU leaves 0 of whatever was below it, and its most likely value is the margin.
    """
    return torch.maximum(teacher_BChw, margins_C11).where(teacher_BChw != 0, margins_C11)


def partial_l2(student_BChw: Tensor, target_BChw: Tensor) -> Tensor:
    """Return the mean of (student - target)^2, which is 0 where student <= target <= 0.

    The publication has the sum over channels and positions, a mean over the batch: this times
    C x h x w. Both have C channels; maps of two sizes are compared at the larger.
    """
    student_BChw, target_BChw = on_one_grid(student_BChw, target_BChw.detach())
    difference_BChw = student_BChw - target_BChw
    quiet_BChw = (difference_BChw <= 0) & (target_BChw <= 0)
    return difference_BChw.masked_fill(quiet_BChw, 0).square().mean()


class Connector(nn.Module):
    """A 1x1 convolution and batch norm on the student's feature, drawn as in the released code."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(incoming, outgoing, 1, bias=False)
        self.norm = nn.BatchNorm2d(outgoing)
        nn.init.normal_(self.convolution.weight, std=math.sqrt(2 / outgoing))

    def forward(self, student_BChw: Tensor) -> Tensor:
        """Return the feature with the teacher's channels, before any ReLU."""
        with like_nets(student_BChw):
            connected: Tensor = self.norm(self.convolution(student_BChw))
        return connected.to(student_BChw.dtype)


def overhaul(
    students: Sequence[Tensor], targets: Sequence[Tensor], shares: Sequence[float]
) -> Tensor:
    """Return the mean of the levels' partial L2 distances, weighted by shares that add up to 1."""
    triples = zip(shares, students, targets, strict=True)
    distances = [share * partial_l2(student, target) for share, student, target in triples]
    return torch.stack(distances).sum()


class OverhaulDistillation(Method):
    """The backbone's four stages and the head's feature, each through a connector.

    Departures: our nets give their features after the ReLU. The teacher's negative responses, which
    the publication keeps down to a margin, are hence lost, and each stands at the margin; its value
    is estimated (`margin = "estimated"`) or 0 (`margin = "zero"`, a ReLU's own). The student's
    feature goes into the connector after its ReLU as well. The released code has a sixth level, the
    output of the ASPP, which our nets do not give. It lets the connectors learn alone for the first
    epoch, and at ten times the learning rate; here all learn together, at one rate.
    """

    terms = ("overhaul",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_choices("ofd", values, {"margin": ("estimated", "zero")})
        total = sum(PUBLISHED_ELEMENTS.values())
        self.shares = [elements / total for elements in PUBLISHED_ELEMENTS.values()]
        if self.active:
            self.connectors = nn.ModuleDict(
                {
                    name: Connector(channels_of(student, name), channels_of(teacher, name))
                    for name in PUBLISHED_ELEMENTS
                }
            )

    def overhaul(self, step: Step) -> Tensor:
        """Return the distance of the connected features from the teacher's."""
        features, teacher = step.student.features, step.teacher_outputs.features
        connected = [connector(features[name]) for name, connector in self.connectors.items()]
        targets = [self._target(teacher[name]) for name in self.connectors]
        return overhaul(connected, targets, self.shares)

    def _target(self, teacher_BChw: Tensor) -> Tensor:
        margins_C11 = rectified_margins(teacher_BChw)
        if self.values["margin"] == "zero":
            margins_C11 = torch.zeros_like(margins_C11)
        return rectified_target(teacher_BChw, margins_C11)
