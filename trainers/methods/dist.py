"""DIST: match how classes and pixels relate, not the probabilities themselves.

Source: Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, eq. 7 to 10.
G groups of n images, K classes, N positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.errors import MethodError
from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import require_positive
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid

EPSILON = 1e-8  # on the product of the norms, as in the authors' code


def dist(
    student_BKhw: Tensor,
    teacher_BKhw: Tensor,
    weights: tuple[float, float] = (1.0, 1.0),
    temperature: float = 1.0,
    group: int = 2,
) -> Tensor:
    """Return beta x (1 - correlation over classes) + gamma x (1 - correlation over pixels).

    `weights` = (beta, gamma). Pearson's correlation of the softmax of logits / temperature: first
    at each position over the classes, mean over positions; then of each class over all positions
    of `group` consecutive images, mean over classes and groups. A smaller last group counts by its
    images. Each part lies in [0, 2]; equal logits give 0 up to 1e-8 over the variance, a position
    or class without variance gives 1. The publication has 2 images a GPU and no factor of
    temperature^2. Ignored pixels are included.
    """
    maps = on_one_grid(student_BKhw, teacher_BKhw.detach())
    student_BKN, teacher_BKN = ((x / temperature).softmax(1).flatten(2) for x in maps)
    beta, gamma = weights
    between_classes = pearson(student_BKN, teacher_BKN, 1).mean()
    return beta * (1 - between_classes) + gamma * _between_pixels(student_BKN, teacher_BKN, group)


def pearson(first: Tensor, second: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Return Pearson's correlation along `dim`, in [-1, 1]; 0 where one of both is constant."""
    first = first - first.mean(dim, keepdim=True)
    second = second - second.mean(dim, keepdim=True)
    norms: Tensor = torch.linalg.vector_norm(first, dim=dim)
    norms = norms * torch.linalg.vector_norm(second, dim=dim)
    return (first * second).sum(dim) / (norms + EPSILON)


def _between_pixels(student_BKN: Tensor, teacher_BKN: Tensor, group: int) -> Tensor:
    """Return 1 - the mean correlation of each class over the positions of a group of images."""
    num_images = len(student_BKN)
    whole = num_images - num_images % group
    total = student_BKN.new_zeros(())
    for part, size in ((slice(whole), group), (slice(whole, None), num_images - whole)):
        student_GnKN, teacher_GnKN = (
            x[part].reshape(-1, max(size, 1), *x.shape[1:]) for x in (student_BKN, teacher_BKN)
        )
        correlation_GK = pearson(student_GnKN, teacher_GnKN, (1, 3))
        total = total + size * correlation_GK.mean(1).sum()
    return 1 - total / num_images


class DistillationFromAStrongerTeacher(Method):
    """Relations of the logits and, with `auxiliary` times the weight, of the auxiliary logits.

    Where the student has no auxiliary head that part is left out.
    """

    needs_teacher_aux = True
    terms = ("dist",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("dist", values, "temperature", "group")
        if teacher is not None and not teacher.auxiliary:
            raise MethodError("method dist: the teacher must have an auxiliary head, it has none")

    def dist(self, step: Step) -> Tensor:
        """Return the term of the logits plus the auxiliary logits' share."""
        student, teacher = step.student, step.teacher_outputs
        loss = self._relations(student.logits, teacher.logits)
        if student.aux_logits is None:
            return loss
        if teacher.aux_logits is None:
            raise MethodError("method dist needs the teacher's auxiliary logits, the step has none")
        auxiliary = float(self.values["auxiliary"])
        return loss + auxiliary * self._relations(student.aux_logits, teacher.aux_logits)

    def _relations(self, student: Tensor, teacher: Tensor) -> Tensor:
        weights = (float(self.values["beta"]), float(self.values["gamma"]))
        temperature, group = float(self.values["temperature"]), int(self.values["group"])
        return dist(student, teacher, weights, temperature, group)
