"""Steps of training on random outputs, and the reference values of published code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from trainers.methods import load_method, resolve
from trainers.methods.base import Method, Step
from trainers.models.outputs import Outputs, Shape

REFERENCE = Path(__file__).parents[2] / "reference"
CLASSES = 5
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


def random_outputs(
    shape: Shape, batch: int, size: tuple[int, int], generator: torch.Generator
) -> Outputs:
    """Return outputs of a net on random numbers: leaves that ask for a gradient, in float64."""

    def leaf(channels: int, scale: float) -> Tensor:
        values = torch.randn(batch, channels, *size, generator=generator, dtype=torch.float64)
        return (scale * values).requires_grad_()

    return Outputs(
        logits=leaf(shape.num_classes, 2.0),
        aux_logits=leaf(shape.num_classes, 2.0),
        features={name: leaf(channels, 1.0) for name, channels in shape.channels.items()},
    )


@pytest.fixture
def make_step() -> Callable[..., Step]:
    """Return a maker of steps: sizes, progress and share of ignored pixels may be given."""

    def make(
        batch: int = 2,
        student_size: tuple[int, int] = (4, 6),
        teacher_size: tuple[int, int] = (4, 6),
        progress: float = 0.5,
        ignored: float = 0.2,
    ) -> Step:
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(0, CLASSES, (batch, 17, 23), generator=generator)
        labels[torch.rand(labels.shape, generator=generator) < ignored] = 255
        return Step(
            student=random_outputs(STUDENT, batch, student_size, generator),
            teacher=random_outputs(TEACHER, batch, teacher_size, generator),
            labels=labels,
            progress=progress,
        )

    return make


@pytest.fixture
def make_method() -> Callable[..., Method]:
    """Return a maker of methods in float64 with published values, or those given by name."""

    def make(name: str, teacher: Shape = TEACHER, **params: float | int | str) -> Method:
        torch.manual_seed(0)
        method = load_method(name)(resolve(name, params), STUDENT, teacher).double()
        if method.preparation is not None:
            method.equip(method.preparation(teacher).double())
        return method

    return make


@pytest.fixture
def remember() -> Callable[[Method, Step], Step]:
    """Return a function that gives a step the method's memory, if it has one, of that batch."""

    def filled(method: Method, step: Step) -> Step:
        memory = method.memory()
        if memory is None:
            return step
        torch.manual_seed(0)
        memory.double().update(step.teacher_outputs, step.labels)
        return replace(step, memory=memory)

    return filled


@pytest.fixture
def total(remember: Callable[[Method, Step], Step]) -> Callable[[Method, Step], Tensor]:
    """Return a function that computes a method's whole loss, always with the same random draws."""

    def compute(method: Method, step: Step) -> Tensor:
        complete = remember(method, step)
        torch.manual_seed(1)
        return method.total(complete, 0.4)

    return compute


@pytest.fixture
def make_peer(make_method: Callable[..., Method]) -> Callable[..., Method]:
    """Return a maker of methods whose teacher has the student's own shape."""
    return lambda name: make_method(name, teacher=STUDENT)


@pytest.fixture
def reference() -> Callable[[str, str], dict[str, Tensor]]:
    """Return a reader of one case of a file of reference values; inputs are leaves."""

    def read(file: str, case: str) -> dict[str, Tensor]:
        with np.load(REFERENCE / f"{file}.npz") as arrays:
            mine = {key: arrays[key] for key in arrays if key.startswith(f"{case}/")}
        tensors = {key.split("/")[1]: torch.from_numpy(np.array(a)) for key, a in mine.items()}
        for name in tensors.keys() & {"student", "student_aux"}:
            tensors[name].requires_grad_()
        if "labels" in tensors:
            tensors["labels"] = tensors["labels"].long()
        return tensors

    return read
