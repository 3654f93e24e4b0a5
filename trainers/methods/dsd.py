"""Double similarity distillation: what layers add to each other, and which classes look alike.

Source: Feng et al., "Double Similarity Distillation for Semantic Image Segmentation", IEEE TIP
2021 (arXiv 2107.08591), as re-implemented in CIRKD's code; the authors' code is not public.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import require_positive
from trainers.methods.at import attention_map
from trainers.models.outputs import Outputs, Shape
from trainers.terms.grid import on_one_grid

EPSILON = 1e-6  # least norm of a residual: it bounds the gradient where two layers agree
POOL = 2  # pixels that are averaged along each side before classes are compared


def pixel_difference(students: Sequence[Tensor], teachers: Sequence[Tensor]) -> Tensor:
    """Return the squared distance of residual attention maps: a mean over pairs, batch, positions.

    Both nets give as many features (B, C, h, w), in the same order. An attention map is the mean
    square over channels with an L2 norm of 1; a residual is the difference of two layers' maps,
    with an L2 norm of 1 again. The value lies in [0, 4 / (h w)] and is 0 for equal features. Maps
    are compared at the largest size of all. At least two layers.
    """
    maps = [attention_map(x) for x in (*students, *(y.detach() for y in teachers))]
    maps_LBN = torch.stack([functional.normalize(x.flatten(1)) for x in on_one_grid(*maps)])
    return functional.mse_loss(
        _residuals(maps_LBN[: len(students)]), _residuals(maps_LBN[len(students) :])
    )


def category_difference(
    student_BKhw: Tensor, teacher_BKhw: Tensor, temperature: float = 4.0
) -> Tensor:
    """Return the mean squared difference of K x K class similarities; 0 for equal logits.

    A class is its softmax over the positions of the 2 x 2 average-pooled logits, two classes are as
    similar as the dot product of theirs: about 1 / (number of positions), which makes the term tiny
    and, at its published weight, nearly inert. Logits of two sizes are compared at the larger.
    """
    student_BKhw, teacher_BKhw = on_one_grid(student_BKhw, teacher_BKhw.detach())
    return functional.mse_loss(
        _class_similarities(student_BKhw, temperature),
        _class_similarities(teacher_BKhw, temperature),
    )


def _residuals(maps_LBN: Tensor) -> Tensor:
    """Return the normalised differences of all pairs of layers, (pairs, B, N)."""
    pairs = combinations(range(len(maps_LBN)), 2)
    differences_PBN = torch.stack([maps_LBN[later] - maps_LBN[earlier] for earlier, later in pairs])
    return functional.normalize(differences_PBN, dim=2, eps=EPSILON)


def _class_similarities(logits_BKhw: Tensor, temperature: float) -> Tensor:
    pooled_BKhw = functional.avg_pool2d(logits_BKhw, POOL, ceil_mode=True)
    shares_BKN = (pooled_BKhw.flatten(2) / temperature).softmax(2)
    return shares_BKN @ shares_BKN.mT


class DoubleSimilarityDistillation(Method):
    """Residuals among the last stage, the head's feature and the logits; the logits' classes."""

    terms = ("pixel_difference", "category_difference")
    vanishing = ("pixel_difference", "category_difference")

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("dsd", values, "temperature")

    def pixel_difference(self, step: Step) -> Tensor:
        """Return the distance of the residual attention maps."""
        return pixel_difference(_layers(step.student), _layers(step.teacher_outputs))

    def category_difference(self, step: Step) -> Tensor:
        """Return the distance of the classes' similarities at the values' temperature."""
        temperature = float(self.values["temperature"])
        return category_difference(step.student.logits, step.teacher_outputs.logits, temperature)


def _layers(outputs: Outputs) -> tuple[Tensor, ...]:
    return outputs.features["stage4"], outputs.features["head"], outputs.logits
