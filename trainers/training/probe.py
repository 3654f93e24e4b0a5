"""How long a training step takes here: a few steps of a cohort, under a teacher of random weights.

Nothing is kept. Time does not depend on the weights, so that no teacher need be trained before.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import nn

from search_spaces import BASELINE
from trainers.data import Dataset
from trainers.errors import MethodError
from trainers.method_api.loading import load_method, preparation_name
from trainers.models import SegmentationNet, build_net
from trainers.runtime.torch_files import write
from trainers.tasks import Net, Task
from trainers.training.cohort import Trainer
from trainers.training.segment import Control, Ending, Member, Segment

LEAST_STEPS, MOST_STEPS = 4, 30
ENOUGH_S = 2.0  # of timing, once the least steps are done
WARM = 1  # steps that are not counted
SEED = 0


class Probe:
    """One task on one device; data and teacher are loaded once, files go when it is closed."""

    def __init__(self, task: Task, root: Path | None, device: str) -> None:
        """Load the data; DataError where it is lacking."""
        self.task, self.root, self.device = task, root, device
        self._trainer = Trainer()
        self._scratch = TemporaryDirectory(prefix="sweeper-probe-")
        self._numbers = count()
        self.dataset: Dataset = self._trainer.dataset(task.data, root)
        self._teacher = self._random_teacher()

    def close(self) -> None:
        """Remove what was written."""
        self._scratch.cleanup()

    def step_seconds(self, method: str, cohort: int, steps: int | None = None) -> float:
        """Return the seconds of a step of `cohort` members at published values, all together.

        The median of `steps` steps, or as many as the schedule has; None: of a few. Raises
        MethodError where the method fails.
        """
        began = time.perf_counter()
        marks: list[float] = []

        def is_enough() -> bool:
            return steps is None and len(marks) >= LEAST_STEPS and marks[-1] - began > ENOUGH_S

        control = Control(on_progress=lambda _: self._mark(marks), should_stop=is_enough)
        stop = min(MOST_STEPS if steps is None else steps + WARM + 1, self.task.schedule.steps)
        outcome = self._trainer.run(self._segment(method, cohort, stop), control)
        failed = [m.reason for m in outcome.members if m.ending is Ending.FAILED]
        if failed:
            why = (failed[0] or "").partition("\n")[0]
            raise MethodError(f"method {method} failed while its steps were timed: {why}")
        gaps = [after - before for before, after in pairwise(marks)]
        return median(gaps[WARM:] or gaps or [marks[0] - began])

    def evaluation_seconds(self) -> float:
        """Return the seconds that one student's evaluation on the selection split takes."""
        marks: list[float] = []
        control = Control(
            on_progress=lambda _: self._mark(marks), on_heartbeat=lambda: self._mark(marks)
        )
        segment = replace(self._segment(BASELINE, 1, stop=1), evaluate=True)
        self._trainer.run(segment, control)
        return marks[-1] - marks[0]

    def weights_bytes(self) -> int:
        """Return the bytes of a student's weights: what is kept of a finished trial."""
        student = build_net(self._bare(self.task.student), self.dataset.num_classes)
        return sum(t.numel() * t.element_size() for t in student.state_dict().values())

    def teacher_step_seconds(self) -> float:
        """Return the seconds of a step of the teacher's own training."""
        with closing(Probe(self.task.teacher_task(), self.root, self.device)) as probe:
            return probe.step_seconds(BASELINE, 1)

    def _segment(self, method: str, cohort: int, stop: int) -> Segment:
        number = next(self._numbers)
        return Segment(
            task=self.task,
            seed=SEED,
            start=0,
            stop=stop,
            evaluate=False,
            members=tuple(
                Member(key=f"probe-{place}", method=method, params={}) for place in range(cohort)
            ),
            folder=Path(self._scratch.name) / str(number),
            teacher=self._teacher,
            preparations=self._random_preparation(method),
            data_root=self.root,
            device=self.device,
        )

    def _mark(self, marks: list[float]) -> None:
        device = torch.device(self.device)
        if device.type == "cuda":  # a step is only queued until the device is waited for
            torch.cuda.synchronize(device)
        marks.append(time.perf_counter())

    def _random_teacher(self) -> Path | None:
        if self.task.teacher is None:
            return None
        return self._random_weights("teacher", self._teacher_net())

    def _random_preparation(self, method: str) -> dict[str, Path]:
        """Return the file of what a method needs besides the teacher; empty where it is nothing."""
        taught_by = load_method(method)
        name, kind = preparation_name(taught_by), taught_by.preparation
        if name is None or kind is None:
            return {}
        return {name: self._random_weights(name, kind(self._teacher_net().shape))}

    def _random_weights(self, name: str, net: nn.Module) -> Path:
        file = Path(self._scratch.name) / f"{name}.pt"
        write(file, {"student": net.state_dict()})
        return file

    def _teacher_net(self) -> SegmentationNet:
        if self.task.teacher is None:
            raise MethodError(f"task {self.task.name} has no teacher")
        return build_net(self._bare(self.task.teacher.net), self.dataset.num_classes)

    @staticmethod
    def _bare(net: Net) -> Net:
        """Return the net without weights from elsewhere: its size and speed are the same."""
        return net.model_copy(update={"weights": "none"})
