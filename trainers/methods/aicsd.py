"""Inter-class similarity distillation: match how alike the classes' places are.

Source: Mansourian et al., "AICSD: Adaptive Inter-Class Similarity Distillation for Semantic
Segmentation", 2023 (arXiv 2308.04243). B images, K classes, h w positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import require_choices, require_positive
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid
from trainers.terms.pixel_kl import pixel_kl

LEAST = 1e-6  # nats: a row of smaller divergences is rounding


def aicsd(
    student_BKhw: Tensor, teacher_BKhw: Tensor, temperature: float = 1.0, form: str = "described"
) -> Tensor:
    """Return the mean squared difference of the row-normalised similarity matrices of the classes.

    In [0, 4 / K]; 0 for equal logits. `form` names the matrices: see `divergences` and
    `released_divergences`; the latter has one for the batch, and a further division by the images.
    Maps of two sizes are compared at the larger; ignored positions are included.
    """
    matrices_of = released_divergences if form == "released" else divergences
    maps = on_one_grid(student_BKhw, teacher_BKhw.detach())
    student_BKK, teacher_BKK = (_normalised_rows(matrices_of(x, temperature)) for x in maps)
    distance = (student_BKK - teacher_BKK).square().mean()
    return distance / len(student_BKhw) if form == "released" else distance


def divergences(logits_BKhw: Tensor, temperature: float = 1.0) -> Tensor:
    """Return KL(p_i || p_j) in nats, (B, K, K), of each image's classes i and j.

    p_i is the softmax over all positions of the logits of class i / temperature.
    """
    logs_BKN = (logits_BKhw / temperature).flatten(2).log_softmax(2)
    products_BKK = logs_BKN.exp() @ logs_BKN.mT
    return products_BKK.diagonal(dim1=1, dim2=2).unsqueeze(2) - products_BKK


def released_divergences(logits_BKhw: Tensor, temperature: float = 1.0) -> Tensor:
    """Return what the released code takes for divergences, (1, K, K), a mean over images.

    Its softmax runs over the rows of the map, for each column apart; a probability stands where a
    divergence has its logarithm, sum p_j (log p_j - p_i); and only i <= j is computed, the rest
    mirrored.
    """
    scaled_BKhw = logits_BKhw / temperature
    p_BKN = scaled_BKhw.softmax(2).flatten(2)
    logs_BKN = scaled_BKhw.log_softmax(2).flatten(2)
    inverse_entropy_B1K = (p_BKN * logs_BKN).sum(2).unsqueeze(1)
    matrix_1KK = (inverse_entropy_B1K - p_BKN @ p_BKN.mT).mean(0, keepdim=True)
    return matrix_1KK.triu() + matrix_1KK.triu(1).mT


def _normalised_rows(matrix_BKK: Tensor) -> Tensor:
    """Return rows of norm 1; a row of rounding alone becomes 0 and takes no gradient."""
    norm_BK1 = torch.linalg.vector_norm(matrix_BKK, dim=-1, keepdim=True)
    rows_BKK: Tensor = (matrix_BKK / norm_BK1.clamp(min=LEAST)).where(norm_BK1 > LEAST, 0)
    return rows_BKK


class InterClassSimilarity(Method):
    """Similarity of the classes' places, and the logits as in `kd`.

    `schedule = "adaptive"` is the paper's: over training the weight of the task loss and of the
    similarity rises from 0 to 1, that of the pixel divergence falls from 1 to 0. It changes to the
    very end, so that no rung could judge it: by default all weights stay.
    """

    terms = ("aicsd", "pixel_kl")
    vanishing = ("aicsd", "pixel_kl")

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("aicsd", values, "spatial_temperature", "temperature")
        choices = {"form": ("described", "released"), "schedule": ("none", "adaptive")}
        require_choices("aicsd", values, choices)

    @classmethod
    def last_switch(cls, values: Hyperparameters) -> float:
        """Return 1 with the adaptive schedule, which changes to the end, else 0."""
        return 1.0 if values["schedule"] == "adaptive" else 0.0

    def aicsd(self, step: Step) -> Tensor:
        """Return the distance of the similarity matrices, by the schedule."""
        maps = (step.student.logits, step.teacher_outputs.logits)
        temperature, form = float(self.values["spatial_temperature"]), str(self.values["form"])
        return self._share(step) * aicsd(*maps, temperature, form)

    def pixel_kl(self, step: Step) -> Tensor:
        """Return the divergence between the logits, by the schedule."""
        share = 1 - step.progress if self._is_adaptive else 1.0
        temperature = float(self.values["temperature"])
        return share * pixel_kl(step.student.logits, step.teacher_outputs.logits, temperature)

    def task_loss(self, step: Step, auxiliary_weight: float) -> Tensor:
        """Return the loss against the labels, by the schedule."""
        return self._share(step) * super().task_loss(step, auxiliary_weight)

    @property
    def _is_adaptive(self) -> bool:
        return self.values["schedule"] == "adaptive"

    def _share(self, step: Step) -> float:
        return step.progress if self._is_adaptive else 1.0
