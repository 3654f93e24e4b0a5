"""What a method is to the training loop: terms, their weights, a weighting of the task loss.

Some methods have more than terms: auxiliary modules such as critics, memory banks, a preparation.
The training loop knows these three kinds and no method by name. B images, K classes, h w positions
of maps, H W pixels of the labels; 255 = ignore.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer

from trainers.errors import MethodError
from trainers.method_api.space_file import Hyperparameters
from trainers.method_api.task_loss import cross_entropy
from trainers.models.outputs import Outputs, Shape

__all__ = [
    "AuxiliaryModule",
    "Classify",
    "Hyperparameters",
    "MemoryBank",
    "Method",
    "Preparation",
    "Step",
]

Classify = Callable[[Tensor], Tensor]  # head features (B, C, h, w) -> logits (B, K, h, w)


@dataclass(frozen=True, kw_only=True)
class AuxiliaryModule:
    """A part of a method that has a loss and an optimiser of its own, such as a critic.

    Its parameters are kept from the student's optimiser. It takes its step after the student.
    """

    module: nn.Module
    optimizer: Optimizer  # over the module's parameters
    decays: bool = False  # whether its learning rate follows the student's schedule


class MemoryBank(nn.Module, ABC):
    """What is kept of earlier batches; it depends on teacher, labels, seed and step alone.

    Hence one is enough for all members of a cohort whose `settings` are equal. All that it
    keeps lies in buffers. Random numbers come from torch's global generator, as anywhere.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        # The key seeds the bank's random numbers, so a class that is renamed draws others.
        self.key = f"{type(self).__qualname__}({sorted(settings.items())})"

    @abstractmethod
    def update(self, teacher: Outputs, labels_BHW: Tensor) -> None:
        """Take in a batch, before any member uses it. Called without gradients."""


class Preparation(nn.Module, ABC):
    """A part that is trained once per teacher and then frozen; every trial of the method uses it.

    Its weights come from torch's global generator, its batches are those of training.
    """

    epochs: ClassVar[float] = 1.0  # passes over the train split

    def __init__(self, teacher: Shape) -> None:
        super().__init__()
        self.teacher_shape = teacher

    @abstractmethod
    def loss(self, teacher: Outputs, labels_BHW: Tensor, classify: Classify) -> Tensor:
        """Return the scalar to minimise; `classify` is the teacher's own last layer."""

    @abstractmethod
    def build_optimizer(self) -> Optimizer:
        """Return the optimiser of its parameters."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One training step as a method sees it."""

    student: Outputs
    teacher: Outputs | None  # takes no gradient; None where the method needs none
    labels: Tensor  # (B, H, W) int64 at image size, 255 = ignore
    progress: float  # share of the training behind us, in [0, 1)
    memory_bank: MemoryBank | None = None  # of `Method.memory_bank`, up to date; only to be read

    @property
    def teacher_outputs(self) -> Outputs:
        """The teacher's outputs; MethodError where the step has none."""
        if self.teacher is None:
            raise MethodError("the method needs a teacher, but the step has none: give it one")
        return self.teacher


class Method(nn.Module, ABC):
    """Distillation as a module: learnt projections are its parameters, trained with the student.

    A term is a method (in Python's sense) of the same name: `def channel_kl(self, step) -> Tensor`
    returns its unweighted scalar, differentiable with respect to the student alone.

    `values` holds a value for every name of the method's space: weights of terms under the terms'
    names, own hyperparameters under theirs. Weights already carry the multiplier.
    """

    needs_teacher: ClassVar[bool] = True
    needs_teacher_aux: ClassVar[bool] = False
    terms: ClassVar[tuple[str, ...]] = ()
    vanishing: ClassVar[tuple[str, ...]] = ()  # terms that are 0 where student equals teacher
    held: ClassVar[tuple[str, ...]] = ()  # terms that hold a part of themselves constant
    least_batch: ClassVar[int] = 1  # images that a batch must have for all terms to have a meaning
    preparation: ClassVar[type[Preparation] | None] = None

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__()
        self.values = dict(values)
        self.student_shape = student
        self.teacher_shape = teacher
        self._prepared: tuple[Preparation, ...] = ()  # a tuple: not ours to train or to store

    @classmethod
    def last_switch(cls, values: Hyperparameters) -> float:  # noqa: ARG003
        """Return the share of training after which the method no longer changes its ways."""
        return 0.0

    @property
    def active(self) -> tuple[str, ...]:
        """The terms whose weight is not 0; others, and what only they need, are not computed."""
        return tuple(name for name in self.terms if float(self.values[name]) != 0)

    @property
    def prepared(self) -> Preparation:
        """The trained preparation, frozen; MethodError where the method was given none."""
        if not self._prepared:
            raise MethodError(f"{type(self).__name__} needs its preparation: call equip() first")
        return self._prepared[0]

    def equip(self, preparation: Preparation) -> None:
        """Take the preparation that was trained for this teacher."""
        self._prepared = (preparation.requires_grad_(requires_grad=False).eval(),)

    def auxiliary_modules(self) -> Mapping[str, AuxiliaryModule]:
        """Return the parts with an optimiser of their own, by name; called once, after placing."""
        return {}

    def auxiliary_losses(self, step: Step) -> Mapping[str, Tensor]:
        """Return each auxiliary module's loss; the student's outputs are to be detached in it."""
        del step
        return {}

    def memory_bank(self) -> MemoryBank | None:
        """Return a new, empty bank if a term needs one; `Step.memory_bank` is then of its class."""
        return None

    def losses(self, step: Step) -> dict[str, Tensor]:
        """Return the unweighted scalar of each active term, by name."""
        return {name: getattr(self, name)(step) for name in self.active}

    def task_loss(self, step: Step, auxiliary_weight: float) -> Tensor:
        """Return the loss against the labels; a method that weights pixels overrides it."""
        return cross_entropy(step.student, step.labels, auxiliary_weight)

    def total(self, step: Step, auxiliary_weight: float) -> Tensor:
        """Return the task loss plus every active term times its weight."""
        loss = self.task_loss(step, auxiliary_weight)
        for name, value in self.losses(step).items():
            loss = loss + float(self.values[name]) * value
        return loss
