"""Similarity-preserving distillation: images alike for the teacher shall be alike for the student.

Source: Tung and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, eq. 1 to 4.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from trainers.errors import MethodError
from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.models.outputs import Shape


def batch_similarity(student_BChw: Tensor, teacher_BChw: Tensor, group: int) -> Tensor:
    """Return sum (G_s - G_t)^2 / n^2 over groups of n consecutive images, a mean over the groups.

    G = the n x n Gram matrix of a group's flattened features, rows of norm 1. The last group may be
    smaller; an image left over alone, whose matrix is always 1, is left out. Channels and map sizes
    may differ. 0 for features that are proportional. MethodError for a single image.
    """
    num_images = student_BChw.shape[0]
    if num_images < 2:
        raise MethodError(
            f"batch_similarity compares images, got {num_images}: it needs 2 in a batch"
        )
    differences = [
        _differences(student_GnD, teacher_GnD)
        for student_GnD, teacher_GnD in zip(
            _grouped(student_BChw, group), _grouped(teacher_BChw.detach(), group), strict=True
        )
    ]
    return torch.cat(differences).mean()


def _grouped(feature_BChw: Tensor, group: int) -> list[Tensor]:
    """Return the whole groups, (G, group, D), and the smaller last one, if it is one."""
    feature_BD = feature_BChw.flatten(1)
    num_groups, rest = divmod(len(feature_BD), group)
    whole = num_groups * group
    parts = [feature_BD[:whole].reshape(num_groups, group, -1)] if num_groups else []
    return parts + ([feature_BD[whole:].unsqueeze(0)] if rest > 1 else [])


def _differences(student_GnD: Tensor, teacher_GnD: Tensor) -> Tensor:
    """Return the mean squared difference of each of G groups' n x n matrices, (G,)."""
    student_Gnn, teacher_Gnn = (
        functional.normalize(x @ x.mT, dim=-1) for x in (student_GnD, teacher_GnD)
    )
    return (student_Gnn - teacher_Gnn).square().mean((1, 2))


class SimilarityPreserving(Method):
    """Similarities of the head features within the batch."""

    terms = ("batch_similarity",)
    vanishing = ("batch_similarity",)
    least_batch = 2

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        if int(values["group"]) < 2:
            raise MethodError(f"method sp: group must be at least 2, got {values['group']!r}")

    def batch_similarity(self, step: Step) -> Tensor:
        """Return the distance between the nets' similarities of the batch's images."""
        student, teacher = step.student.features["head"], step.teacher_outputs.features["head"]
        return batch_similarity(student, teacher, int(self.values["group"]))
