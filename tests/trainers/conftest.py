"""One trainer and one teacher for all tests that train; steps on random outputs for the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainers.tiny_task import train_teacher
from trainers.contract.sample_steps import STUDENT, TEACHER, MethodUnderTest, SampleStep, complete
from trainers.method_api.method import Method, Step
from trainers.training.cohort import Trainer

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="session")
def trainer() -> Trainer:
    return Trainer()


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_teacher(tmp_path_factory.mktemp("teacher"))


@pytest.fixture
def make_step() -> Callable[..., Step]:
    """Return a maker of steps: sizes, progress and share of ignored pixels may be given."""

    def make(
        student_size: tuple[int, int] = (4, 6), teacher_size: tuple[int, int] = (4, 6), **rest: Any
    ) -> Step:
        return SampleStep(student=student_size, teacher=teacher_size, **rest).build()

    return make


@pytest.fixture
def make_method() -> Callable[..., Method]:
    """Return a maker of methods in float64 with published values, or those given by name."""

    def make(name: str, teacher: Any = TEACHER, **params: float | int | str) -> Method:
        return MethodUnderTest(name).method(params, teacher)

    return make


@pytest.fixture
def with_memory_bank() -> Callable[[Method, Step], Step]:
    """Return a function that gives a step the method's memory bank, if it has one."""
    return complete


@pytest.fixture
def make_peer() -> Callable[..., Method]:
    """Return a maker of methods whose teacher has the student's own shape."""
    return lambda name: MethodUnderTest(name).method(teacher=STUDENT)


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
