"""Steps on random outputs: the same numbers every time, on a GPU as well."""

from __future__ import annotations

import pytest
import torch

from trainers.contract.sample_steps import (
    CLASSES,
    MethodUnderTest,
    SampleStep,
    leaves,
    mapped,
)
from trainers.data.dataset import IGNORE
from trainers.method_api.loading import load_method
from trainers.method_api.method import Step
from trainers.method_api.registry import all_names
from trainers.models.outputs import Outputs


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


def test_a_step_is_built_of_the_same_numbers_every_time() -> None:
    first, second = (SampleStep().build() for _ in range(2))
    pairs = zip(leaves(first.student), leaves(second.student), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert torch.equal(first.labels, second.labels)
    assert set(first.labels.unique().tolist()) == {*range(CLASSES), IGNORE}


def test_tensors_are_replaced_by_their_place() -> None:
    outputs = SampleStep().build().student
    change = {0: torch.zeros(1), 2: torch.ones(1)}
    changed = leaves(mapped(outputs, change))
    assert [place for place, x in enumerate(leaves(outputs)) if changed[place] is not x] == [0, 2]
