"""What the members of a cohort share at one step, and the means to notice that one wrote to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from trainers.models import SegmentationNet
from trainers.models.outputs import Outputs
from trainers.training.forward import Float32, forward
from trainers.training.resources import Resources
from trainers.training.teacher import LoadedTeacher


class Pupil(Protocol):
    """Whoever says what it needs of the teacher."""

    @property
    def needs_teacher(self) -> bool:
        """Whether it learns from a teacher."""
        ...

    @property
    def needs_teacher_aux(self) -> bool:
        """Whether it looks at the teacher's auxiliary logits."""
        ...


class Shared:
    """Images, labels and the teacher's outputs of one step, to be read only."""

    def __init__(self, images: Tensor, labels: Tensor, teacher: Outputs | None) -> None:
        self.images, self.labels, self.teacher = images, labels, teacher
        tensors = [images, labels]
        if teacher is not None:
            tensors += [x for x in (teacher.logits, teacher.aux_logits) if x is not None]
        self._versions = [(tensor, tensor._version) for tensor in tensors]

    def teacher_for(self, pupil: Pupil) -> Outputs | None:
        """Return what the pupil declares that it needs, whatever else the others need."""
        if self.teacher is None or not pupil.needs_teacher:
            return None
        return self.teacher if pupil.needs_teacher_aux else replace(self.teacher, aux_logits=None)

    def is_changed(self) -> bool:
        """Whether any of the tensors was written to after it was made."""
        versions = list(self._versions)
        if self.teacher is not None and isinstance(self.teacher.features, Float32):
            versions += self.teacher.features.versions()
        return any(tensor._version != version for tensor, version in versions)


def share(
    resources: Resources, teacher: LoadedTeacher | None, pupils: Sequence[Pupil], step: int
) -> Shared:
    """Return what the pupils share at `step` (counted from 0): no more than one of them needs."""
    images, labels = resources.batches.batch(step)
    if teacher is None or not any(pupil.needs_teacher for pupil in pupils):
        return Shared(images, labels, None)
    auxiliary = any(pupil.needs_teacher_aux for pupil in pupils)
    return Shared(images, labels, _taught(teacher.net, images, auxiliary))


@torch.no_grad()
def _taught(teacher: SegmentationNet, images: Tensor, auxiliary: bool) -> Outputs:
    """Return the teacher's outputs, not under inference mode.

    Autograd may not save inference tensors for a backward pass, as a product with one has to; to
    copy them for every member would cost more than the mode saves.
    """
    return forward(teacher, images, auxiliary)
