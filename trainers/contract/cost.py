"""What a method's losses cost, as a multiple of the task loss measured in the same moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch

from search_spaces import BASELINE
from trainers.contract.sample_steps import random_outputs
from trainers.method_api.loading import load_method
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import resolve
from trainers.models.outputs import Outputs, Shape

CLASSES, BATCH, MAPS, LABELS = 19, 2, (64, 128), (512, 1024)
ROUNDS = 3
WIDTHS = {"stage1": 64, "stage2": 128, "stage3": 256, "stage4": 512, "head": 128}
STUDENT = Shape(num_classes=CLASSES, channels=WIDTHS, auxiliary=True)
TEACHER = Shape(
    num_classes=CLASSES,
    channels={name: 2 * width for name, width in WIDTHS.items()},
    auxiliary=True,
)


def relative_cost(name: str) -> float:
    """Return the time of the method's losses, forward and backward, over the task loss's alone.

    At maps of 64 x 128, labels of 512 x 1024, 19 classes, two images, in float32, on the CPU.
    """
    step = _step()
    baseline, method = _built(BASELINE), _built(name)
    bank = method.memory_bank()
    if bank is not None:
        with torch.no_grad():
            bank.update(step.teacher_outputs, step.labels)
        step = replace(step, memory_bank=bank)
    pairs = []
    for _ in range(ROUNDS + 1):  # the first one warms up
        seconds = [_seconds(lambda m=each: m.total(step, 0.0)) for each in (baseline, method)]  # type: ignore[misc]
        pairs.append(seconds[1] / seconds[0])
    return median(pairs[1:])


def _built(name: str) -> Method:
    torch.manual_seed(0)
    method = load_method(name)(resolve(name, {}), STUDENT, TEACHER)
    if method.preparation is not None:
        method.equip(method.preparation(TEACHER))
    return method


def _step() -> Step:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, CLASSES, (BATCH, *LABELS), generator=generator)
    outputs = [
        _float32(random_outputs(shape, BATCH, MAPS, generator)) for shape in (STUDENT, TEACHER)
    ]
    return Step(student=outputs[0], teacher=outputs[1], labels=labels, progress=0.5)


def _float32(outputs: Outputs) -> Outputs:
    def leaf(x: torch.Tensor) -> torch.Tensor:
        return x.detach().float().requires_grad_()

    return Outputs(
        logits=leaf(outputs.logits),
        aux_logits=None if outputs.aux_logits is None else leaf(outputs.aux_logits),
        features={name: leaf(feature) for name, feature in outputs.features.items()},
    )


def _seconds(loss: Callable[[], torch.Tensor]) -> float:
    began = time.perf_counter()
    torch.autograd.backward(loss())
    return time.perf_counter() - began
