"""Inter-class distance distillation: how far classes lie apart, and where in the image things are.

Source: Zhang et al., "Distilling Inter-Class Distance for Semantic Segmentation", IJCAI 2022 (arXiv
2205.03650). No code of the authors is public. B images, K classes, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam

from trainers.method_api.method import AuxiliaryModule, Hyperparameters, Method, Step
from trainers.method_api.value_checks import channels_of, require_positive
from trainers.models.outputs import Shape
from trainers.terms.class_means import class_means, members_on_map
from trainers.terms.grid import on_one_grid


def class_distance(
    student_BChw: Tensor, teacher_BDhw: Tensor, labels_BHW: Tensor, num_classes: int
) -> Tensor:
    """Return the mean squared difference of distances between centres of classes; 0 if equal.

    Distances are Euclidean, centres mean features of an image's classes. Mean over the pairs of
    classes present in an image, then over images; one with a single class counts as 0. Maps of two
    sizes are compared at the larger.
    """
    student_BChw, teacher_BDhw = on_one_grid(student_BChw, teacher_BDhw.detach())
    members_BKN = members_on_map(labels_BHW, num_classes, student_BChw)
    maps = (student_BChw, teacher_BDhw)
    student_BKK, teacher_BKK = (_distances(class_means(map_, members_BKN)) for map_ in maps)
    present_BK = members_BKN.any(2)
    itself_KK = torch.eye(num_classes, dtype=torch.bool, device=labels_BHW.device)
    pairs_BKK = present_BK.unsqueeze(2) & present_BK.unsqueeze(1) & ~itself_KK
    squares_B = ((student_BKK - teacher_BKK).square() * pairs_BKK).sum((1, 2))
    return (squares_B / pairs_BKK.sum((1, 2)).clamp(min=1)).mean()


def coordinates(map_BChw: Tensor) -> Tensor:
    """Return the row and the column of each position, from 0 to 1: (B, 2, h, w)."""
    sides = (
        torch.linspace(0, 1, side, dtype=map_BChw.dtype, device=map_BChw.device)
        for side in map_BChw.shape[2:]
    )
    return torch.stack(torch.meshgrid(*sides, indexing="ij")).expand(len(map_BChw), -1, -1, -1)


class InterClassDistanceDistillation(Method):
    """Distances between classes, and positions, both of the head's feature.

    Read from the paper's summary. A small net without padding learns, in a step of its own, to
    predict coordinates from the teacher's feature; the student's feature, after a learnt 1x1
    convolution, is to lead it to the same answers.
    """

    terms = ("class_distance", "position")
    vanishing = ("class_distance",)
    align: nn.Module  # both are there only where `position` is active
    locator: nn.Module

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("idd", values, "locator_width", "locator_learning_rate")
        if "position" in self.active:
            channels, width = channels_of(teacher, "head"), int(values["locator_width"])
            self.align = nn.Conv2d(channels_of(student, "head"), channels, 1)
            self.locator = nn.Sequential(
                nn.Conv2d(channels, width, 1), nn.ReLU(inplace=True), nn.Conv2d(width, 2, 1)
            )

    def class_distance(self, step: Step) -> Tensor:
        """Return the difference of both nets' distances between classes."""
        features = (step.student.features["head"], step.teacher_outputs.features["head"])
        return class_distance(*features, step.labels, self.student_shape.num_classes)

    def position(self, step: Step) -> Tensor:
        """Return the mean squared difference of the positions predicted from both features."""
        teacher = step.teacher_outputs.features["head"].detach()
        student, teacher = on_one_grid(step.student.features["head"], teacher)
        with torch.no_grad():
            target = self.locator(teacher)
        return functional.mse_loss(self.locator(self.align(student)), target)

    def auxiliary_modules(self) -> Mapping[str, AuxiliaryModule]:
        """Return the net that tells positions, where its term is active."""
        if "position" not in self.active:
            return {}
        rate = float(self.values["locator_learning_rate"])
        adam = Adam(self.locator.parameters(), lr=rate)
        return {"locator": AuxiliaryModule(module=self.locator, optimizer=adam)}

    def auxiliary_losses(self, step: Step) -> Mapping[str, Tensor]:
        """Return how badly it tells the teacher's positions, a mean square."""
        if "position" not in self.active:
            return {}
        teacher = step.teacher_outputs.features["head"].detach()
        return {"locator": functional.mse_loss(self.locator(teacher), coordinates(teacher))}


def _distances(centres_BKC: Tensor) -> Tensor:
    """Return the distances between all centres, (B, K, K).

    In float64, since squares of lengths are taken from one another; the slope at 0 is 0.
    """
    centres = centres_BKC.double()
    products_BKK = centres @ centres.transpose(1, 2)
    lengths_BK = centres.square().sum(2)
    squares_BKK = lengths_BK.unsqueeze(2) + lengths_BK.unsqueeze(1) - 2 * products_BKK
    apart_BKK = squares_BKK > 0
    distances_BKK = squares_BKK.where(apart_BKK, 1).sqrt().where(apart_BKK, 0)
    return distances_BKK.to(centres_BKC.dtype)
