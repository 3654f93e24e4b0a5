"""What a method is to the training loop: terms, their weights, a weighting of the task loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from trainers.errors import MethodError
from trainers.methods.task_loss import cross_entropy
from trainers.models.outputs import Outputs, Shape

Hyperparameters = Mapping[str, float | int | str]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One training step as a method sees it."""

    student: Outputs
    teacher: Outputs | None  # takes no gradient; None where the method needs none
    labels: Tensor  # (B, H, W) int64 at image size, 255 = ignore
    progress: float  # share of the training behind us, in [0, 1)

    @property
    def teacher_outputs(self) -> Outputs:
        """The teacher's outputs; MethodError where the step has none."""
        if self.teacher is None:
            raise MethodError("the method needs a teacher, but the step has none: give it one")
        return self.teacher


class Method(nn.Module, ABC):
    """Distillation as a module: learnt projections are its parameters, trained with the student.

    `values` holds a value for every name of the method's space: weights of terms under the terms'
    names, own hyperparameters under theirs. Weights already carry the multiplier.
    """

    needs_teacher: ClassVar[bool] = True
    needs_teacher_aux: ClassVar[bool] = False
    terms: ClassVar[tuple[str, ...]] = ()
    vanishing: ClassVar[tuple[str, ...]] = ()  # terms that are 0 where student equals teacher

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__()
        self.values = dict(values)
        self.student_shape = student
        self.teacher_shape = teacher

    @classmethod
    def last_switch(cls, values: Hyperparameters) -> float:  # noqa: ARG003
        """Return the share of training after which the method no longer changes its ways."""
        return 0.0

    @abstractmethod
    def losses(self, step: Step) -> dict[str, Tensor]:
        """Return each term's unweighted scalar, by the names in `terms`."""

    def task_loss(self, step: Step, auxiliary_weight: float) -> Tensor:
        """Return the loss against the labels; a method that weights pixels overrides it."""
        return cross_entropy(step.student, step.labels, auxiliary_weight)

    def total(self, step: Step, auxiliary_weight: float) -> Tensor:
        """Return the task loss plus every term times its weight; a weight of 0 skips nothing."""
        loss = self.task_loss(step, auxiliary_weight)
        for name, value in self.losses(step).items():
            loss = loss + float(self.values[name]) * value
        return loss
