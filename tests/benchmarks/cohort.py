"""P1: a shared cohort against the same members trained alone, next to what the formula allows.

gain(K) = (T + S + D) / (T/K + S + D/K), with T the teacher's forward pass, S a student's step and
D the data, timed by a plain loop in the same run. Rounds alternate between the loop and cohorts of
every size, and the fastest counts, so that a busy machine disturbs all of them alike.

    python tests/benchmarks/cohort.py [--steps 3] [--rounds 3] [--threads 2] [--cpu-time]
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import torch

from trainers.models import build_net
from trainers.runtime.numerics import configure
from trainers.tasks import Net, Task, load_task
from trainers.training.cohort import Trainer
from trainers.training.forward import forward
from trainers.training.member import StudentTrainer
from trainers.training.memory_banks import MemoryBanks
from trainers.training.resources import ResourceCache
from trainers.training.segment import Control, Member, Segment
from trainers.training.segment_context import SegmentContext

SIZES = (1, 4, 8)
METHOD = "kd"
WARM_UP = 1
TARGET_GAIN = 0.9  # of the formula's, at the largest cohort
TARGET_COST = 0.03  # of one member alone over the plain loop

STUDENT = Net(backbone="resnet18", head_width=128)
TEACHER = Net(backbone="resnet101", head_width=256)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A task, an untrained teacher (it takes the same time), and where to write."""

    task: Task
    teacher: Path
    steps: int
    trainer: Trainer
    clock: Callable[[], float]

    def segment(self, size: int) -> Segment:
        """Return a segment of a few steps for `size` members."""
        return Segment(
            task=self.task,
            seed=0,
            start=0,
            stop=self.steps + WARM_UP,
            evaluate=False,
            members=tuple(Member(key=str(i), method=METHOD, params={}) for i in range(size)),
            folder=self.teacher.parent,
            teacher=self.teacher,
        )

    def cohort_step(self, size: int) -> float:
        """Return the seconds of one step of a cohort, building and storing left out."""
        marks: list[float] = []
        control = Control(on_progress=lambda _: marks.append(self.clock()))
        self.trainer.run(self.segment(size), control)
        return (marks[-1] - marks[WARM_UP - 1]) / self.steps

    def plain_step(self) -> tuple[float, float, float]:
        """Return the seconds of teacher, student and data in a loop that knows no cohorts."""
        segment = self.segment(1)
        configure(torch.device("cpu"), False, self.task.threads)
        resources = ResourceCache().get(segment)
        teacher = resources.get_teacher()
        if teacher is None:
            raise ValueError(f"task {self.task.name} has no teacher")
        classes = resources.dataset.num_classes
        data = resources.dataset.fingerprint
        context = SegmentContext(
            segment=segment, device=resources.device, num_classes=classes, data=data
        )
        memory_banks = MemoryBanks(segment.seed, resources.device)
        trainer = StudentTrainer(segment.members[0], context, teacher, memory_banks)
        spent = [0.0, 0.0, 0.0]
        for step in range(self.steps + WARM_UP):
            began = self.clock()
            images, labels = resources.batches.batch(step)
            loaded = self.clock()
            with torch.no_grad():
                teacher_outputs = forward(teacher.net, images, auxiliary=False)
            seen = self.clock()
            trainer.train_step(images, labels, teacher_outputs, step)
            if step >= WARM_UP:
                spent[0] += seen - loaded
                spent[1] += self.clock() - seen
                spent[2] += loaded - began
        return spent[0] / self.steps, spent[1] / self.steps, spent[2] / self.steps


def formula(teacher: float, student: float, data: float, size: int) -> float:
    """Return the gain that sharing allows."""
    return (teacher + student + data) / (teacher / size + student + data / size)


@click.command()
@click.option("--steps", default=3, help="Timed a round, after one that is not.")
@click.option("--rounds", default=3)
@click.option("--threads", default=2)
@click.option("--cpu-time", is_flag=True, help="For a machine that others use; with one thread.")
def main(steps: int, rounds: int, threads: int, cpu_time: bool) -> None:
    """Print measured gains beside the formula's."""
    base = load_task("shapes")
    task = base.model_copy(
        update={
            "student": STUDENT,
            "teacher": base.teacher.model_copy(update={"net": TEACHER}) if base.teacher else None,
            "threads": threads,
        }
    )
    trainer = Trainer()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "teacher.pt"
        classes = trainer.dataset(task.data, None).num_classes
        torch.save(build_net(TEACHER, classes).state_dict(), file)
        clock = time.process_time if cpu_time else time.perf_counter
        bench = Bench(task=task, teacher=file, steps=steps, trainer=trainer, clock=clock)
        report(bench, rounds)


def report(bench: Bench, rounds: int) -> None:
    """Measure and print."""
    plain: list[tuple[float, float, float]] = []
    cohorts: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(rounds):
        plain.append(bench.plain_step())
        for size in SIZES:
            cohorts[size].append(bench.cohort_step(size))
    teacher, student, data = (min(times) for times in zip(*plain, strict=True))
    best = {size: min(times) for size, times in cohorts.items()}
    print(f"T {teacher:.3f} s, S {student:.3f} s, D {data:.4f} s, {bench.task.threads} threads")
    alone = best[1]
    cost = alone / min(map(sum, plain)) - 1
    print(
        f"K = 1: {alone:.3f} s a step, {cost:+.1%} over the plain loop (target {TARGET_COST:+.0%})"
    )
    for size in SIZES[1:]:
        gain, allowed = size * alone / best[size], formula(teacher, student, data, size)
        print(
            f"K = {size}: {best[size]:.3f} s a step, gain {gain:.2f}, formula {allowed:.2f}, "
            f"{gain / allowed:.0%} of it (target {TARGET_GAIN:.0%})"
        )


if __name__ == "__main__":
    main()
