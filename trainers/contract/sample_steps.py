"""What methods are checked with: training steps on random outputs, in float64."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trainers.data.dataset import IGNORE
from trainers.errors import UserError
from trainers.method_api.loading import load_method
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import read_space, resolve
from trainers.method_api.space_file import Hyperparameters, MethodSpace
from trainers.models.outputs import Outputs, Shape

CLASSES = 5
LABEL_SIZE = (17, 23)
AUXILIARY_WEIGHT = 0.4
STUDENT = Shape(
    num_classes=CLASSES,
    channels={"stage1": 4, "stage2": 6, "stage3": 8, "stage4": 12, "head": 6},
    auxiliary=True,
)
TEACHER = Shape(
    num_classes=CLASSES,
    channels={"stage1": 8, "stage2": 12, "stage3": 16, "stage4": 24, "head": 8},
    auxiliary=True,
)

Size = tuple[int, int]


class Fault(UserError):
    """A method does not do what every method has to."""


@dataclass(frozen=True, kw_only=True)
class SampleStep:
    """The sizes of a step of training on random outputs."""

    batch: int = 2
    student: Size = (4, 6)  # of its maps
    teacher: Size = (4, 6)
    progress: float = 0.5
    ignored: float = 0.2  # share of the labels

    def build(self) -> Step:
        """Return the step: leaves that ask for a gradient, always the same numbers."""
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(0, CLASSES, (self.batch, *LABEL_SIZE), generator=generator)
        labels[torch.rand(labels.shape, generator=generator) < self.ignored] = IGNORE
        return Step(
            student=random_outputs(STUDENT, self.batch, self.student, generator),
            teacher=random_outputs(TEACHER, self.batch, self.teacher, generator),
            labels=labels,
            progress=self.progress,
        )


def random_outputs(shape: Shape, batch: int, size: Size, generator: torch.Generator) -> Outputs:
    """Return outputs of a net as leaves that ask for a gradient; features may be negative."""

    def leaf(channels: int, scale: float) -> Tensor:
        values = torch.randn(batch, channels, *size, generator=generator, dtype=torch.float64)
        return (scale * values).requires_grad_()

    return Outputs(
        logits=leaf(shape.num_classes, 2.0),
        aux_logits=leaf(shape.num_classes, 2.0),
        features={name: leaf(channels, 1.0) for name, channels in shape.channels.items()},
    )


@dataclass(frozen=True)
class MethodUnderTest:
    """One method by name, built as the checks need it."""

    name: str

    @property
    def kind(self) -> type[Method]:
        """Its class."""
        return load_method(self.name)

    @property
    def space(self) -> MethodSpace:
        """The contents of its TOML file."""
        return read_space(self.name)

    def method(self, params: Hyperparameters | None = None, teacher: Shape = TEACHER) -> Method:
        """Return it with published values, or those given by name, under a fixed seed."""
        torch.manual_seed(0)
        method = self.kind(resolve(self.name, params or {}), STUDENT, teacher).double()
        if method.preparation is not None:
            method.equip(method.preparation(teacher).double())
        return method

    def losses(self, method: Method, step: Step) -> dict[str, Tensor]:
        """Return its terms, always with the same random draws."""
        seen = complete(method, step)
        torch.manual_seed(1)
        return method.losses(seen)

    def total(self, method: Method, step: Step) -> Tensor:
        """Return its whole loss, always with the same random draws."""
        seen = complete(method, step)
        torch.manual_seed(1)
        return method.total(seen, AUXILIARY_WEIGHT)


def complete(method: Method, step: Step) -> Step:
    """Return the step as the method is to see it: with its memory bank, after that very batch."""
    if not method.needs_teacher:
        return replace(step, teacher=None)
    bank = method.memory_bank()
    if bank is None:
        return step
    torch.manual_seed(0)
    bank = bank.double()
    with torch.no_grad():
        bank.update(step.teacher_outputs, step.labels)
    return replace(step, memory_bank=bank)


def leaves(outputs: Outputs) -> list[Tensor]:
    """Return all tensors of a net's outputs."""
    auxiliary = [] if outputs.aux_logits is None else [outputs.aux_logits]
    return [outputs.logits, *auxiliary, *outputs.features.values()]


def squared_gradient(outputs: Outputs) -> float:
    """Return the sum of squares of all gradients that have arrived."""
    return sum(float(x.grad.square().sum()) for x in leaves(outputs) if x.grad is not None)


def mapped(outputs: Outputs, change: dict[int, Tensor]) -> Outputs:
    """Return the outputs with tensors replaced, by their place among the leaves."""
    tensors = [change.get(place, x) for place, x in enumerate(leaves(outputs))]
    first = 1 if outputs.aux_logits is None else 2
    return Outputs(
        logits=tensors[0],
        aux_logits=None if outputs.aux_logits is None else tensors[1],
        features=dict(zip(outputs.features, tensors[first:], strict=True)),
    )
