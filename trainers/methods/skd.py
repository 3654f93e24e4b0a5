"""Structured knowledge distillation: pixels, pairs of pixels, and the map as a whole.

Source: Liu et al., "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from trainers.method_api.method import AuxiliaryModule, Hyperparameters, Method, Step
from trainers.method_api.value_checks import require_choices, require_positive
from trainers.models.outputs import Shape
from trainers.terms.critic import CHOICES, Critic, critic_loss, critic_module, holistic
from trainers.terms.pairwise import pairwise
from trainers.terms.pixel_kl import pixel_kl


class StructuredKnowledgeDistillation(Method):
    """The paper's three terms; pixels and the critic look at logits, pairs at the head's feature.

    The released code has a cross-entropy summed over its batch of 8 in place of the mean
    divergence, the same gradient as `pixel_kl` times 8, and pairs at 0.5.
    """

    terms = ("pixel_kl", "pairwise", "holistic")
    vanishing = ("pixel_kl", "pairwise")
    held = ("pairwise",)
    critic: Critic  # there only where its term is active

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("skd", values, "temperature", "pooling", "critic_learning_rate")
        require_choices("skd", values, {**CHOICES, "norm": ("held", "through")})
        if "holistic" in self.active:
            self.critic = Critic(student.num_classes)

    def pixel_kl(self, step: Step) -> Tensor:
        """Return the divergence between teacher and student at the values' temperature."""
        temperature = float(self.values["temperature"])
        return pixel_kl(step.student.logits, step.teacher_outputs.logits, temperature)

    def pairwise(self, step: Step) -> Tensor:
        """Return the difference between the similarities of the nodes of both maps."""
        features = (step.student.features["head"], step.teacher_outputs.features["head"])
        return pairwise(*features, float(self.values["pooling"]), str(self.values["norm"]))

    def holistic(self, step: Step) -> Tensor:
        """Return minus the critic's score of the student's logits."""
        return holistic(self.critic, step.student.logits, step.teacher_outputs.logits)

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
