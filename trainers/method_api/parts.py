"""What some methods have beside their terms: critics, memories, preparations.

All of it is general: the training loop knows these three kinds and no method by name. B images, K
classes, h w positions of maps, H W pixels of the labels; 255 = ignore.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer

from trainers.models.outputs import Outputs, Shape

Classify = Callable[[Tensor], Tensor]  # head features (B, C, h, w) -> logits (B, K, h, w)


@dataclass(frozen=True, kw_only=True)
class Companion:
    """A part of a method that has a loss and an optimiser of its own, such as a critic.

    Its parameters are kept from the student's optimiser. It takes its step after the student.
    """

    module: nn.Module
    optimizer: Optimizer  # over the module's parameters
    decays: bool = False  # whether its learning rate follows the student's schedule


class Memory(nn.Module, ABC):
    """What earlier batches left behind; it depends on teacher, labels, seed and step alone.

    Hence one is enough for all members of a cohort whose `settings` are equal. All that it
    remembers lies in buffers. Random numbers come from torch's global generator, as anywhere.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.key = f"{type(self).__qualname__}({sorted(settings.items())})"

    @abstractmethod
    def update(self, teacher: Outputs, labels_BHW: Tensor) -> None:
        """Take in a batch, before any member looks at it. Called without gradients."""


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
