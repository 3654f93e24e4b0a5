"""What every method costs, and its gradient-norm ratio: the figures of METHODS.md.

    python -m tests.benchmarks.methods --task camvid-tiny --data-root CAMVID --teacher WEIGHTS.pt \
        > search_spaces/measured.toml

`gradient_ratio`: the norm of the gradient of its terms at published weights over that of the task
loss, at the student's head features: the median over 16 image batches, at a default baseline at
its first rung. `cost`: the median time of a training step alone, teacher included, over the
baseline's in the same run.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import click

from trainers.method_api.loading import load_method, preparation_name
from trainers.method_api.registry import all_names, read_space
from trainers.runtime.processor import processor
from trainers.tasks import Task, load_task
from trainers.training.cohort import Trainer
from trainers.training.segment import Control, Member, Segment
from trainers.training.single_run import Configuration, preparation_of, train

STEPS, WARM = 12, 2
BASELINE = "baseline"


class Bench:
    """One task, its teacher, and a folder that is thrown away."""

    def __init__(self, task: Task, root: Path | None, teacher: Path, folder: Path) -> None:
        self.task, self.root, self.teacher, self.folder = task, root, teacher, folder
        self.trainer = Trainer()
        self.preparations = self._prepare()

    def segment(self, *members: Member, start: int, stop: int, calibrates: bool = False) -> Segment:
        """Return a segment of these members."""
        return Segment(
            task=self.task,
            seed=0,
            start=start,
            stop=stop,
            evaluate=False,
            members=members,
            folder=self.folder / "segments",
            teacher=self.teacher,
            preparations=self.preparations,
            data_root=self.root,
            calibrates=calibrates,
        )

    def gradient_ratios(self) -> dict[str, float]:
        """Return each method's gradient-norm ratio."""
        rung = self.task.rung_steps[0]
        first = self.segment(Member(key=BASELINE, method=BASELINE, params={}), start=0, stop=rung)
        [student] = self.trainer.run(first).members
        names = [name for name in all_names() if read_space(name).terms]
        found: dict[str, float] = {}
        for name in names:
            member = Member(key=name, method=name, params={}, checkpoint=student.checkpoint)
            asked = self.segment(member, start=rung, stop=rung + 1, calibrates=True)
            [measured] = self.trainer.run(asked).members
            found[name] = median(measured.gradient_ratios)
            click.echo(f"{name}: gradient_ratio {found[name]:.3g}", err=True)
        return found

    def costs(self) -> dict[str, float]:
        """Return the time of a step of each method over the baseline's."""
        reference = self._step_seconds(BASELINE)
        found = {}
        for name in all_names():
            found[name] = self._step_seconds(name) / reference
            click.echo(f"{name}: cost {found[name]:.2f}", err=True)
        return found

    def _step_seconds(self, name: str) -> float:
        seen: list[float] = []
        control = Control(on_progress=lambda _: seen.append(time.perf_counter()))
        asked = self.segment(Member(key=name, method=name, params={}), start=0, stop=STEPS)
        self.trainer.run(asked, control)
        return median(b - a for a, b in zip(seen[WARM:-1], seen[WARM + 1 :], strict=True))

    def _prepare(self) -> dict[str, Path]:
        dataset = self.trainer.dataset(self.task.data, self.root)
        made: dict[str, Path] = {}
        for name in all_names():
            wanted = preparation_of(self._configuration(name), dataset, self.folder)
            own = preparation_name(load_method(name))
            if wanted is None or own is None or own in made:
                continue
            file = train(wanted, self.trainer, Control()).checkpoint
            if file is None:
                raise ValueError(f"the preparation of {own} came to nothing")
            made[own] = file
        return made

    def _configuration(self, name: str) -> Configuration:
        return Configuration(
            task=self.task,
            method=name,
            params={},
            seed=0,
            folder=self.folder,
            data_root=self.root,
            teacher=self.teacher,
        )


@click.command()
@click.option("--task", "task_name", default="camvid-tiny", show_default=True)
@click.option("--data-root", type=click.Path(path_type=Path))
@click.option("--teacher", type=click.Path(path_type=Path, exists=True), required=True)
def main(task_name: str, data_root: Path | None, teacher: Path) -> None:
    """Print the figures of every method as TOML."""
    with tempfile.TemporaryDirectory(prefix="sweeper-") as folder:
        bench = Bench(load_task(task_name), data_root, teacher, Path(folder))
        ratios, costs = bench.gradient_ratios(), bench.costs()
    where = f"{processor()}, {bench.task.threads} thread"
    click.echo(f'about = "Measured on {task_name}, {where}."\n\n[methods]')
    for name in all_names():
        ratio = f"gradient_ratio = {ratios[name]:.3g}, " if name in ratios else ""
        click.echo(f'"{name}" = {{ {ratio}cost = {costs[name]:.3g} }}')


if __name__ == "__main__":
    main()
