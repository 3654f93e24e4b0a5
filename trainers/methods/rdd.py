"""Relative difficulty distillation: teacher and student choose the pixels of the labels to learn.

Source: Liang et al., "Relative Difficulty Distillation for Semantic Segmentation", 2024 (arXiv
2407.03719). The defaults are the paper's form; the released code's differ, see the class.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.data.dataset import IGNORE
from trainers.errors import MethodError, near_miss
from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.task_loss import num_valid, pixel_log_probabilities, weighted_cross_entropy
from trainers.models.outputs import Outputs, Shape
from trainers.models.resampling import resize_bilinear
from trainers.terms.pixel_kl import pixel_kl
from trainers.terms.relative_difficulty import agreement_of_heads, combine, confidence, hard_pixels

CHOICES = {
    "blend": ("none", "linear"),
    "kl_direction": ("main_aux", "aux_main"),
    "confidence": ("max", "ground_truth"),
    "combination": ("xor", "or", "and"),
    "early_average": ("valid", "all"),
    "late_average": ("valid", "selected"),
    "class_weights": ("none", "cityscapes"),
    "auxiliary": ("shared", "own"),
}
CITYSCAPES_WEIGHTS = (
    *(0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023),
    *(0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507),
)


class RelativeDifficultyDistillation(Method):
    """Weight the task loss by relative difficulty; distil the logits as `kd` does.

    For the first `early_share` of training a pixel's weight is the agreement of the teacher's
    two heads; afterwards it is 1 where exactly one of teacher and student is sure (`threshold`),
    else 0. Both stages average over all valid pixels.

    The paper says nothing of the student's auxiliary head, the task's recipe has one: by default
    it is weighted by the same map. The released code differs in all of this, and so may one here:
    `kl_direction = "aux_main"`, `confidence = "ground_truth"`, `min_kept = 100_000`,
    `early_average = "all"` (ignored pixels count), `late_average = "selected"` (NaN there, 0 here,
    where none is selected), `class_weights = "cityscapes"` (later stage only), `auxiliary = "own"`
    (in the later stage each head has its own map). `blend = "linear"`, of another released script,
    goes over from the early to the later weighting between `early_share` and the end.
    """

    needs_teacher_aux = True
    terms = ("pixel_kl",)
    vanishing = ("pixel_kl",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        faults = [*_faults_of_choices(values), *_faults_of_numbers(values)]
        if values["class_weights"] == "cityscapes" and student.num_classes != 19:
            faults.append(f"class_weights are of 19 classes, the task has {student.num_classes}")
        if teacher is not None and not teacher.auxiliary:
            faults.append("the teacher must have an auxiliary head, it has none")
        if faults:
            raise MethodError(f"method rdd: {'; '.join(faults)}")

    @classmethod
    def last_switch(cls, values: Hyperparameters) -> float:
        """Return the early stage's share; 1 with a linear blend, which changes to the end."""
        return 1.0 if values["blend"] == "linear" else float(values["early_share"])

    def pixel_kl(self, step: Step) -> Tensor:
        """Return the divergence between the logits, which is not weighted by difficulty."""
        temperature = float(self.values["temperature"])
        return pixel_kl(step.student.logits, step.teacher_outputs.logits, temperature)

    def task_loss(self, step: Step, auxiliary_weight: float) -> Tensor:
        """Return the cross-entropy weighted by relative difficulty, plus the auxiliary head's."""
        size = step.labels.shape[-2:]
        main_BKHW = pixel_log_probabilities(step.student.logits, size)
        weights_BHW = self.pixel_weights(step, main_BKHW, step.teacher_outputs.logits)
        loss = weighted_cross_entropy(main_BKHW, step.labels, weights_BHW)
        if step.student.aux_logits is None:
            return loss
        aux_BKHW = pixel_log_probabilities(step.student.aux_logits, size)
        if self.values["auxiliary"] == "own":
            weights_BHW = self.pixel_weights(step, aux_BKHW, _auxiliary(step.teacher_outputs))
        return loss + auxiliary_weight * weighted_cross_entropy(aux_BKHW, step.labels, weights_BHW)

    @torch.no_grad()
    def pixel_weights(self, step: Step, student_BKHW: Tensor, teacher_BKhw: Tensor) -> Tensor:
        """Return the weights (B, H, W) of a mean over valid pixels, given one head of each net.

        The student's are log-probabilities at the labels' size, the teacher's are logits.
        """
        early = self.early_part(step.progress)
        if early == 1:
            return self._early_weights(step)
        late_BHW = self._late_weights(step.labels, student_BKHW, teacher_BKhw)
        return late_BHW if early == 0 else late_BHW.lerp(self._early_weights(step), early)

    def early_part(self, progress: float) -> float:
        """Return the weight of the early stage at this point of training, in [0, 1]."""
        share = float(self.values["early_share"])
        if progress < share:
            return 1.0
        return (1 - progress) / (1 - share) if self.values["blend"] == "linear" else 0.0

    def _early_weights(self, step: Step) -> Tensor:
        teacher, labels = step.teacher_outputs, step.labels
        direction = str(self.values["kl_direction"])
        agreement_Bhw = agreement_of_heads(teacher.logits, _auxiliary(teacher), direction)
        weights_BHW = resize_bilinear(agreement_Bhw.unsqueeze(1), labels.shape[-2:]).squeeze(1)
        if self.values["early_average"] == "valid":
            return weights_BHW
        return weights_BHW * num_valid(labels) / labels.numel()

    def _late_weights(self, labels: Tensor, student_BKHW: Tensor, teacher_BKhw: Tensor) -> Tensor:
        teacher_BKHW = pixel_log_probabilities(teacher_BKhw, labels.shape[-2:])
        valid_BHW = labels != IGNORE
        selected_BHW = valid_BHW & combine(
            self._hard(student_BKHW, labels),
            self._hard(teacher_BKHW, labels),
            str(self.values["combination"]),
        )
        classes_BHW = self._class_weights(student_BKHW, labels)
        weights_BHW = selected_BHW * classes_BHW
        counted = selected_BHW if self.values["late_average"] == "selected" else valid_BHW
        total = (counted * classes_BHW).sum()
        return weights_BHW * num_valid(labels) / total.where(total > 0, 1)

    def _hard(self, log_probabilities_BKHW: Tensor, labels: Tensor) -> Tensor:
        confidence_BHW = confidence(log_probabilities_BKHW, labels, str(self.values["confidence"]))
        return hard_pixels(
            confidence_BHW, float(self.values["threshold"]), int(self.values["min_kept"])
        )

    def _class_weights(self, like_BKHW: Tensor, labels: Tensor) -> Tensor:
        """Return each pixel's class weight; a single 1 where classes have none."""
        if self.values["class_weights"] == "none":
            return like_BKHW.new_ones(())
        return like_BKHW.new_tensor(CITYSCAPES_WEIGHTS)[labels.where(labels != IGNORE, 0)]


def _auxiliary(outputs: Outputs) -> Tensor:
    if outputs.aux_logits is None:
        raise MethodError("method rdd needs the teacher's auxiliary logits, the step has none")
    return outputs.aux_logits


def _faults_of_choices(values: Hyperparameters) -> list[str]:
    return [
        f"{name} = {values[name]!r}{near_miss(str(values[name]), choices)}"
        for name, choices in CHOICES.items()
        if values[name] not in choices
    ]


def _faults_of_numbers(values: Hyperparameters) -> list[str]:
    faults = [
        f"{name} must lie in [0, 1], got {values[name]!r}"
        for name in ("threshold", "early_share")
        if not 0 <= float(values[name]) <= 1
    ]
    if not float(values["temperature"]) > 0:
        faults.append(f"temperature must be > 0, got {values['temperature']!r}")
    if int(values["min_kept"]) < 0:
        faults.append(f"min_kept must be at least 0, got {values['min_kept']!r}")
    return faults
