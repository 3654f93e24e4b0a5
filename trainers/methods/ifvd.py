"""Intra-class feature variation distillation: how far each pixel is from the centre of its class.

Source: Wang et al., "Intra-class Feature Variation Distillation for Semantic Segmentation", ECCV
2020, and its code, https://github.com/YukangWang/IFVD.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from trainers.method_api.method import AuxiliaryModule, Hyperparameters, Method, Step
from trainers.method_api.value_checks import require_choices, require_positive
from trainers.models.outputs import Shape
from trainers.terms.class_means import class_means, members_on_map, safe_length
from trainers.terms.critic import CHOICES, Critic, critic_loss, critic_module, holistic
from trainers.terms.grid import on_one_grid
from trainers.terms.pixel_kl import pixel_kl


def intra_class_variation(
    student_BChw: Tensor, teacher_BDhw: Tensor, labels_BHW: Tensor, num_classes: int
) -> Tensor:
    """Return the mean squared difference of cosines to the own class's centre; 0 if equal.

    Mean over images and positions, ignored ones counted as 0. The centre is the mean feature of a
    class in an image, of labels resized to the map by nearest neighbour; gradients flow through
    it. Maps of two sizes are compared at the larger.
    """
    student_BChw, teacher_BDhw = on_one_grid(student_BChw, teacher_BDhw.detach())
    members_BKN = members_on_map(labels_BHW, num_classes, student_BChw)
    student_BN = _cosine_to_centre(student_BChw, members_BKN)
    return functional.mse_loss(student_BN, _cosine_to_centre(teacher_BDhw, members_BKN))


class IntraClassFeatureVariation(Method):
    """Pixels, the critic of SKD, and the variation within classes of the head's feature."""

    terms = ("pixel_kl", "holistic", "intra_class_variation")
    vanishing = ("pixel_kl", "intra_class_variation")
    critic: Critic  # there only where its term is active

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("ifvd", values, "temperature", "critic_learning_rate")
        require_choices("ifvd", values, CHOICES)
        if "holistic" in self.active:
            self.critic = Critic(student.num_classes)

    def pixel_kl(self, step: Step) -> Tensor:
        """Return the divergence between teacher and student at the values' temperature."""
        temperature = float(self.values["temperature"])
        return pixel_kl(step.student.logits, step.teacher_outputs.logits, temperature)

    def holistic(self, step: Step) -> Tensor:
        """Return minus the critic's score of the student's logits."""
        return holistic(self.critic, step.student.logits, step.teacher_outputs.logits)

    def intra_class_variation(self, step: Step) -> Tensor:
        """Return the difference of both nets' cosines to the centres of classes."""
        features = (step.student.features["head"], step.teacher_outputs.features["head"])
        return intra_class_variation(*features, step.labels, self.student_shape.num_classes)

    def auxiliary_modules(self) -> Mapping[str, AuxiliaryModule]:
        """Return the critic, where its term is active."""
        if "holistic" not in self.active:
            return {}
        return {"critic": critic_module(self.critic, self.values)}

    def auxiliary_losses(self, step: Step) -> Mapping[str, Tensor]:
        """Return the critic's loss, where its term is active."""
        if "holistic" not in self.active:
            return {}
        return {"critic": critic_loss(self.critic, step, self.values)}


def _cosine_to_centre(map_BChw: Tensor, members_BKN: Tensor) -> Tensor:
    """Return each position's cosine to the centre of its class, (B, N); 0 where it has none.

    Products with all centres are made, K numbers a position, and the own one picked: copying the
    own centre to each position would take C.
    """
    centres_BKC = class_means(map_BChw, members_BKN)
    directions_BKC = centres_BKC / safe_length(centres_BKC, 2)
    features_BCN = map_BChw.flatten(2)
    own_BN = (directions_BKC @ features_BCN * members_BKN).sum(1)
    return own_BN / safe_length(features_BCN, 1).squeeze(1)
