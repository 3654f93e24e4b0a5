"""Time and memory of every method's terms, forward and backward, against the task cross-entropy.

    python tests/benchmarks/terms.py [METHOD ...] [--repeats 15] [--device cpu]

Maps of 64x128 positions under labels of 512x1024, 2 images, 19 classes: Cityscapes at stride 8.
Each part is timed in turn with the cross-entropy of the same run; a ratio is that of the medians.
Memory is the most that one pass holds beyond its inputs, gradients included. The target: under 0.1
of the time for simple terms, under 1 for terms that go class by class. Whatever the registry holds
is measured: nothing here names a method.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from trainers.method_api.loading import load_method
from trainers.method_api.method import MemoryBank, Method, Step
from trainers.method_api.registry import method_names, resolve
from trainers.method_api.task_loss import cross_entropy
from trainers.models.outputs import Outputs, Shape

IMAGES, CLASSES, MAP, LABELS = 2, 19, (64, 128), (512, 1024)
STAGES = {"stage1": 64, "stage2": 128, "stage3": 256, "stage4": 512}
STUDENT = Shape(num_classes=CLASSES, channels={**STAGES, "head": 128}, auxiliary=True)
WIDER = {name: 4 * channels for name, channels in STAGES.items()}
TEACHER = Shape(num_classes=CLASSES, channels={**WIDER, "head": 256}, auxiliary=True)
Part = Callable[[], Tensor | None]  # a loss to go back from, or nothing


def random_outputs(shape: Shape, device: str) -> Outputs:
    """Return random outputs whose tensors ask for no gradient."""

    def made(channels: int) -> Tensor:
        return torch.randn(IMAGES, channels, *MAP, device=device)

    features = {name: made(channels) for name, channels in shape.channels.items()}
    return Outputs(logits=made(CLASSES), aux_logits=made(CLASSES), features=features)


def leaves(outputs: Outputs) -> list[Tensor]:
    """Return every tensor of the outputs."""
    auxiliary = [] if outputs.aux_logits is None else [outputs.aux_logits]
    return [outputs.logits, *auxiliary, *outputs.features.values()]


def random_step(device: str) -> Step:
    """Return a step with a tenth of the pixels ignored, late in training."""
    labels = torch.randint(0, CLASSES, (IMAGES, *LABELS), device=device)
    labels[torch.rand(labels.shape, device=device) < 0.1] = 255
    student, teacher = random_outputs(STUDENT, device), random_outputs(TEACHER, device)
    for tensor in leaves(student):
        tensor.requires_grad_()
    return Step(student=student, teacher=teacher, labels=labels, progress=0.5)


def build(name: str, device: str) -> Method:
    """Return the method with its published values and a preparation that nobody trained."""
    method = load_method(name)(resolve(name, {}), STUDENT, TEACHER).to(device)
    if method.preparation is not None:
        method.equip(method.preparation(TEACHER).to(device))
    return method


def parts(name: str, step: Step, device: str) -> Iterator[tuple[str, Part]]:
    """Yield what a method computes in a step, piece by piece, under its label."""
    method = build(name, device)
    memory = method.memory_bank()
    if memory is not None:
        memory.to(device)
        yield f"{name}: update of memory bank", partial(update, memory, step)
        step = replace(step, memory_bank=memory)
    for term in method.terms:
        yield f"{name}: {term}", partial(getattr(method, term), step)
    if "task_loss" in vars(type(method)):
        main_head = replace(step, student=replace(step.student, aux_logits=None))
        yield f"{name}: task loss, main head", partial(method.task_loss, main_head, 0.4)
    for part in method.auxiliary_modules():
        yield f"{name}: auxiliary module {part}", partial(auxiliary_loss, method, part, step)


def update(memory: MemoryBank, step: Step) -> None:
    """Take the step's batch into a memory bank."""
    with torch.no_grad():
        memory.update(step.teacher_outputs, step.labels)


def auxiliary_loss(method: Method, part: str, step: Step) -> Tensor:
    """Return the loss of one auxiliary module, computed together with that of all others."""
    return method.auxiliary_losses(step)[part]


def one_pass(part: Part, step: Step) -> None:
    """Go forward, and back where there is a loss; gradients of earlier passes are dropped."""
    for tensor in leaves(step.student):
        tensor.grad = None
    loss = part()
    if loss is not None:
        torch.autograd.backward(loss)


def seconds(part: Part, step: Step) -> float:
    """Return the wall time of one pass."""
    start = time.perf_counter()
    one_pass(part, step)
    if step.labels.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(part: Part, task: Part, step: Step, repeats: int) -> tuple[float, float]:
    """Return the median seconds of a part and of the task loss, timed in turn."""
    seconds(part, step), seconds(task, step)
    pairs = [(seconds(part, step), seconds(task, step)) for _ in range(repeats)]
    first, second = zip(*pairs, strict=True)
    return statistics.median(first), statistics.median(second)


def peak_megabytes(part: Part, step: Step) -> float:
    """Return the most memory that one pass holds beyond what there was before it."""
    one_pass(lambda: None, step)
    if step.labels.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        one_pass(part, step)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen:
        one_pass(part, step)
    held = most = 0
    events = seen.profiler.kineto_results.events()
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most / 2**20


def main() -> None:
    """Print one line a part: milliseconds, megabytes, and both as shares of the cross-entropy's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("methods", nargs="*", metavar="METHOD", help="all of them by default")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler tells of each start and stop
    torch.manual_seed(0)
    torch.set_num_threads(given.threads)
    step = random_step(given.device)
    task = partial(cross_entropy, Outputs(logits=step.student.logits), step.labels, 0.0)
    task_memory = peak_megabytes(task, step)
    print(f"{'part':40} {'ms':>9} {'of CE':>8} {'MB':>8} {'of CE':>8}")
    for name in given.methods or method_names():
        for label, part in parts(name, step, given.device):
            own, other = compare(part, task, step, given.repeats)
            memory = peak_megabytes(part, step)
            times = f"{1e3 * own:9.2f} {own / other:8.3f}"
            print(f"{label:40} {times} {memory:8.1f} {memory / task_memory:8.3f}")


if __name__ == "__main__":
    main()
