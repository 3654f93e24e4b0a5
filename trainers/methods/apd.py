"""Adaptive perspective distillation: classify by prototypes of the batch, as the teacher does.

Source: Tian et al., "Adaptive Perspective Distillation for Semantic Segmentation", TPAMI 2022, and
its code, https://github.com/dvlab-research/APD.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Adam

from trainers.method_api.method import AuxiliaryModule, Hyperparameters, Method, Step
from trainers.method_api.task_loss import cross_entropy
from trainers.method_api.value_checks import channels_of, require_choices, require_positive
from trainers.models.outputs import Outputs, Shape
from trainers.models.resampling import resize_bilinear
from trainers.terms.grid import on_one_grid
from trainers.terms.pixel_kl import pixel_kl
from trainers.terms.prototypes import Prototypes, find_prototypes, prototype_align, prototype_kl

POSITIVE = ("temperature", "prototype_scale", "group", "transform_ratio", "transform_learning_rate")


class AdaptivePerspectiveDistillation(Method):
    """Logits per pixel, logits against prototypes, and the prototypes themselves.

    The head's features of both nets go through two 1x1 convolutions each, to `transform_ratio`
    times the teacher's channels and then to as many as these. The student's learn with the
    student; the teacher's learn in a step of their own to classify by prototypes, absent classes
    counting with a logit of 0. `pixel_kl` is taken at the logits' size; the released code
    upsamples them to the labels' (`pixel_size = "labels"`).
    """

    terms = ("pixel_kl", "prototype_kl", "prototype_align")
    vanishing = ("pixel_kl",)
    transform: nn.Module  # of the student; both are there only where a term needs them
    teacher_transform: nn.Module

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("apd", values, *POSITIVE)
        require_choices("apd", values, {"pixel_size": ("logits", "labels")})
        if self._uses_prototypes:
            channels = channels_of(teacher, "head")
            width = max(1, round(float(values["transform_ratio"]) * channels))
            self.transform = _transform(channels_of(student, "head"), width, channels)
            self.teacher_transform = _transform(channels, width, channels)

    def pixel_kl(self, step: Step) -> Tensor:
        """Return the divergence between teacher and student at the values' temperature."""
        logits = (step.student.logits, step.teacher_outputs.logits)
        if self.values["pixel_size"] == "labels":
            size = step.labels.shape[-2:]
            logits = (resize_bilinear(logits[0], size), resize_bilinear(logits[1].detach(), size))
        return pixel_kl(*logits, float(self.values["temperature"]))

    def prototype_kl(self, step: Step) -> Tensor:
        """Return the divergence between both nets' classifications by prototypes."""
        return prototype_kl(*self._both(step), float(self.values["prototype_scale"]))

    def prototype_align(self, step: Step) -> Tensor:
        """Return the distance between both nets' prototypes."""
        return prototype_align(*self._both(step))

    def losses(self, step: Step) -> dict[str, Tensor]:
        """Return the unweighted terms; the prototypes, which two of them need, are found once."""
        active, found = self.active, {}
        if "pixel_kl" in active:
            found["pixel_kl"] = self.pixel_kl(step)
        both = self._both(step) if self._uses_prototypes else None
        if both and "prototype_kl" in active:
            found["prototype_kl"] = prototype_kl(*both, float(self.values["prototype_scale"]))
        if both and "prototype_align" in active:
            found["prototype_align"] = prototype_align(*both)
        return found

    def auxiliary_modules(self) -> Mapping[str, AuxiliaryModule]:
        """Return the teacher's transform, where a term needs it; its rate stays as it is."""
        if not self._uses_prototypes:
            return {}
        rate = float(self.values["transform_learning_rate"])
        adam = Adam(self.teacher_transform.parameters(), lr=rate, betas=(0.9, 0.99))
        return {"teacher_transform": AuxiliaryModule(module=self.teacher_transform, optimizer=adam)}

    def auxiliary_losses(self, step: Step) -> Mapping[str, Tensor]:
        """Return the cross-entropy of the teacher's classification by prototypes."""
        if not self._uses_prototypes:
            return {}
        teacher = self._prototypes(self.teacher_transform, self._features(step)[1], step.labels)
        logits = float(self.values["prototype_scale"]) * teacher.cosines_BKhw
        return {"teacher_transform": cross_entropy(Outputs(logits=logits), step.labels, 0.0)}

    @property
    def _uses_prototypes(self) -> bool:
        return bool({"prototype_kl", "prototype_align"} & set(self.active))

    def _both(self, step: Step) -> tuple[Prototypes, Prototypes]:
        """Return the student's prototypes and the teacher's, these without a gradient."""
        student, teacher = self._features(step)
        with torch.no_grad():
            target = self._prototypes(self.teacher_transform, teacher, step.labels)
        return self._prototypes(self.transform, student, step.labels), target

    def _features(self, step: Step) -> tuple[Tensor, Tensor]:
        """Return the head's features of both nets at the larger of their sizes."""
        teacher = step.teacher_outputs.features["head"].detach()
        student, teacher = on_one_grid(step.student.features["head"], teacher)
        return student, teacher

    def _prototypes(self, transform: nn.Module, feature: Tensor, labels: Tensor) -> Prototypes:
        num_classes = self.student_shape.num_classes
        return find_prototypes(transform(feature), labels, num_classes, int(self.values["group"]))


def _transform(incoming: int, width: int, outgoing: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(incoming, width, 1), nn.ReLU(inplace=True), nn.Conv2d(width, outgoing, 1)
    )
