"""What the members of a cohort share at one step, and whether one of them wrote to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from trainers.data.batches import Batches
from trainers.models import SegmentationNet
from trainers.models.outputs import Outputs
from trainers.training.forward import Float32, forward
from trainers.training.teacher_file import LoadedTeacher


class NeedsTeacher(Protocol):
    """A member of a cohort as the shared step sees it: what it needs of the teacher."""

    @property
    def needs_teacher(self) -> bool:
        """Whether it learns from a teacher."""
        ...

    @property
    def needs_teacher_aux(self) -> bool:
        """Whether it uses the teacher's auxiliary logits."""
        ...


class Shared:
    """Images, labels and the teacher's outputs of one step, to be read only."""

    def __init__(self, images: Tensor, labels: Tensor, teacher: Outputs | None) -> None:
        self.images, self.labels, self.teacher = images, labels, teacher
        # Methods are not our code, and one that writes to a shared tensor would change the training
        # of every member after it. PyTorch counts in-place writes in `_version`; comparing counts
        # costs nothing, while comparing or copying contents would.
        tensors = [images, labels]
        if teacher is not None:
            tensors += [x for x in (teacher.logits, teacher.aux_logits) if x is not None]
        self._versions = [(tensor, tensor._version) for tensor in tensors]

    def teacher_for(self, member: NeedsTeacher) -> Outputs | None:
        """Return what this member declares that it needs, whatever the others need."""
        if self.teacher is None or not member.needs_teacher:
            return None
        return self.teacher if member.needs_teacher_aux else replace(self.teacher, aux_logits=None)

    def is_changed(self) -> bool:
        """Whether any of the tensors was written to after it was made."""
        versions = list(self._versions)
        if self.teacher is not None and isinstance(self.teacher.features, Float32):
            versions += self.teacher.features.versions()
        return any(tensor._version != version for tensor, version in versions)


def share(
    batches: Batches, teacher: LoadedTeacher | None, members: Sequence[NeedsTeacher], step: int
) -> Shared:
    """Return what the members share at `step` (counted from 0): nothing that none of them needs."""
    images, labels = batches.batch(step)
    if teacher is None or not any(member.needs_teacher for member in members):
        return Shared(images, labels, None)
    auxiliary = any(member.needs_teacher_aux for member in members)
    return Shared(images, labels, _teacher_outputs(teacher.net, images, auxiliary))


@torch.no_grad()
def _teacher_outputs(teacher: SegmentationNet, images: Tensor, auxiliary: bool) -> Outputs:
    """Return the teacher's outputs, not under inference mode.

    Autograd may not save inference tensors for a backward pass, as a product with one has to; to
    copy them for every member would cost more than the mode saves.
    """
    return forward(teacher, images, auxiliary)
