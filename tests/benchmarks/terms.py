"""Time of every method's terms, forward and backward, against the task cross-entropy.

    python tests/benchmarks/terms.py [--repeats 15] [--device cpu] [--threads 1]

Maps of 64x128 positions under labels of 512x1024, 2 images, 19 classes: Cityscapes at stride 8.
Each part is timed in turn with the cross-entropy of the same run; a ratio is that of the medians.
The target: under 0.1 for simple terms, under 1 for terms that go class by class.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from trainers.methods import load_method, method_names, resolve
from trainers.methods.base import Method, Step
from trainers.methods.task_loss import cross_entropy
from trainers.models.outputs import Outputs, Shape

IMAGES, CLASSES, MAP, LABELS = 2, 19, (64, 128), (512, 1024)
CHANNELS = {"stage1": 64, "stage2": 128, "stage3": 256, "stage4": 512, "head": 128}
Part = Callable[[], Tensor]


def random_outputs(shape: Shape, device: str) -> Outputs:
    """Return random outputs whose tensors ask for a gradient."""

    def leaf(channels: int) -> Tensor:
        return torch.randn(IMAGES, channels, *MAP, device=device, requires_grad=True)

    features = {name: leaf(channels) for name, channels in shape.channels.items()}
    return Outputs(logits=leaf(CLASSES), aux_logits=leaf(CLASSES), features=features)


def random_step(shape: Shape, device: str) -> Step:
    """Return a step with a tenth of the pixels ignored, late in training."""
    labels = torch.randint(0, CLASSES, (IMAGES, *LABELS), device=device)
    labels[torch.rand(labels.shape, device=device) < 0.1] = 255
    student, teacher = random_outputs(shape, device), random_outputs(shape, device)
    return Step(student=student, teacher=teacher, labels=labels, progress=0.5)


def parts(step: Step, shape: Shape, device: str) -> Iterator[tuple[str, Part, Part]]:
    """Yield a label, a part of a method and the task loss to compare it with."""
    main_head = Outputs(logits=step.student.logits)
    one_head = partial(cross_entropy, main_head, step.labels, 0.0)
    two_heads = partial(cross_entropy, step.student, step.labels, 0.4)
    for name in method_names():
        method = load_method(name)(resolve(name, {}), shape, shape).to(device)
        if method.terms:
            terms = partial(sum_of_terms, method, step)
            yield f"{name}: {' + '.join(method.terms)}", terms, one_head
        if "task_loss" in vars(type(method)):
            yield f"{name}: task loss, two heads", partial(method.task_loss, step, 0.4), two_heads


def sum_of_terms(method: Method, step: Step) -> Tensor:
    """Return the sum of a method's terms, unweighted."""
    return torch.stack(list(method.losses(step).values())).sum()


def seconds(part: Part, device: str) -> float:
    """Return the wall time of one forward and backward pass."""
    start = time.perf_counter()
    torch.autograd.backward(part())
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(part: Part, task: Part, repeats: int, device: str) -> tuple[float, float]:
    """Return the median seconds of a part and of the task loss, timed in turn."""
    seconds(part, device), seconds(task, device)
    pairs = [(seconds(part, device), seconds(task, device)) for _ in range(repeats)]
    first, second = zip(*pairs, strict=True)
    return statistics.median(first), statistics.median(second)


def main() -> None:
    """Print one line a part: milliseconds, and the ratio to the cross-entropy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(given.threads)
    shape = Shape(num_classes=CLASSES, channels=CHANNELS, auxiliary=True)
    step = random_step(shape, given.device)
    print(f"{'part':40} {'ms':>9} {'cross-entropy':>14} {'ratio':>7}")
    for label, part, task in parts(step, shape, given.device):
        own, other = compare(part, task, given.repeats, given.device)
        print(f"{label:40} {1e3 * own:9.2f} {1e3 * other:14.2f} {own / other:7.3f}")


if __name__ == "__main__":
    main()
