"""Every registered method and combination keeps the contract; the contract notices who does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from trainers.contract.checks import CHECKS
from trainers.contract.sample_steps import MethodUnderTest, SampleStep
from trainers.contract.training_checks import TRAINING_CHECKS, TinyTraining
from trainers.method_api.loading import load_method
from trainers.method_api.method import Step
from trainers.method_api.registry import all_names
from trainers.models.outputs import Outputs
from trainers.training.cohort import Trainer


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", all_names())
def test_a_method_keeps_the_contract(name: str, check: Callable[[MethodUnderTest], str]) -> None:
    assert check(MethodUnderTest(name))


@pytest.mark.parametrize("check", TRAINING_CHECKS)
@pytest.mark.parametrize("name", all_names())
def test_a_method_trains_the_same_whatever_its_cohort_and_its_interruptions(
    name: str, check: Callable[[TinyTraining], str], trainer: Trainer, tmp_path: Path
) -> None:
    assert check(TinyTraining(name=name, folder=tmp_path, trainer=trainer))


def on_gpu(outputs: Outputs) -> Outputs:
    def moved(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach().float().cuda().requires_grad_()

    return Outputs(
        logits=moved(outputs.logits),
        aux_logits=None if outputs.aux_logits is None else moved(outputs.aux_logits),
        features={name: moved(feature) for name, feature in outputs.features.items()},
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("progress", [0.0, 0.5])
@pytest.mark.parametrize("name", all_names())
def test_a_gpu_repeats_every_bit_in_deterministic_mode(name: str, progress: float) -> None:
    def gradient() -> torch.Tensor:
        sample = SampleStep(progress=progress).build()
        student = on_gpu(sample.student)
        step = Step(
            student=student,
            teacher=on_gpu(sample.teacher_outputs),
            labels=sample.labels.cuda(),
            progress=progress,
        )
        method = MethodUnderTest(name).method().float().cuda()
        if method.preparation is not None:
            method.prepared.float().cuda()
        torch.autograd.backward(method.total(step, 0.4))
        assert student.logits.grad is not None
        return student.logits.grad

    if load_method(name).memory_bank is not MethodUnderTest("baseline").kind.memory_bank:
        pytest.skip("its memory bank is filled on the CPU here")
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.equal(gradient(), gradient())
    finally:
        torch.use_deterministic_algorithms(False)
