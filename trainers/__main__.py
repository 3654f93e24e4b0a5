"""`python -m trainers`: train one configuration, teacher included, without any service."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search_spaces import BASELINE
from trainers.errors import CheckpointError, MethodError, TaskError, UserError
from trainers.method_api.registry import method_names, resolve
from trainers.runtime.terminal import Progress, stop_on_signal
from trainers.tasks import Task, load_task, task_names
from trainers.training.segment import Control, Ending, MemberOutcome

if TYPE_CHECKING:  # help and bad input need no torch
    from trainers.training.cohort import Trainer
    from trainers.training.single_run import Configuration

Value = float | int | str

ALIASES = {"lr": "learning_rate"}
NO_RESULT, USER_FAULT, INTERRUPTED = 1, 2, 130  # exit codes
A_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of the command line."""

    task: str
    method: str
    settings: tuple[str, ...]
    seed: int
    steps: int | None
    data_root: Path | None
    device: str | None
    teacher: Path | None
    output: Path
    resume: bool
    deterministic: bool


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--task", default="shapes", help=f"{', '.join(task_names())}, or a TOML file.")
@click.option("--method", default=BASELINE, help=f"{', '.join(method_names())}.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A hyperparameter, for example lr=0.01; what is not set is as published.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    help="Of initial weights, image batches and dropout.",
)
@click.option("--steps", type=click.IntRange(min=1), help="In place of the task's own number.")
@click.option("--data-root", type=A_PATH, help="Where the data set lies.")
@click.option("--device", help="cpu, cuda or cuda:N; without, a GPU where there is one.")
@click.option("--teacher", type=A_PATH, help="Its weights; without, it is trained, then kept.")
@click.option("--output", type=A_PATH, default="runs", help="For checkpoints and teachers.")
@click.option("--deterministic", is_flag=True, help="Only kernels that repeat bit by bit on GPUs.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --output.")
def main(**given: Any) -> None:
    """Train one configuration from the first step to the last and evaluate it.

    The result equals that of a sweep's trial with the same values and seed. Ctrl-C writes a
    checkpoint; --resume goes on from it as if nothing had happened.
    """
    options = Options(**given)
    try:
        sys.exit(_run(options))
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(USER_FAULT)


def parse_settings(settings: tuple[str, ...]) -> dict[str, Value]:
    """Return the hyperparameters of NAME=VALUE texts; MethodError where one is not of that form."""
    params: dict[str, Value] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = ALIASES.get(name.strip(), name.strip())
        if not (name and equals and text.strip()):
            raise MethodError(f"--set must be NAME=VALUE, got {setting!r}")
        if name in params:
            raise MethodError(f"--set {name} is given twice; give it once")
        params[name] = _value(text.strip())
    return params


def _value(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def with_steps(task: Task, steps: int | None) -> Task:
    """Return the task with a schedule of so many steps."""
    if steps is None:
        return task
    schedule = task.schedule.model_copy(update={"steps": steps})
    return task.model_copy(update={"schedule": schedule})


def _run(options: Options) -> int:
    """Train as the options demand; return the exit code."""
    task = with_steps(load_task(options.task), options.steps)
    params = parse_settings(options.settings)
    resolve(options.method, params)  # refuses what it does not know, before torch is loaded
    from trainers.runtime.devices import choose_device  # loads torch
    from trainers.training.cohort import Trainer  # loads torch
    from trainers.training.optimizer import with_params  # loads torch
    from trainers.training.single_run import Configuration, folder_name  # loads torch

    with_params(task.schedule, params)
    student = Configuration(
        task=task,
        method=options.method,
        params=params,
        seed=options.seed,
        folder=options.output,
        data_root=options.data_root,
        device=choose_device(options.device),
        deterministic=options.deterministic,
        teacher=options.teacher,
    )
    student = replace(student, folder=options.output / folder_name(student))
    _check_folder(student, options.resume)
    with stop_on_signal(lambda line: click.echo(line, err=True)) as stop:
        return _train_both(student, Trainer(), options, stop)


def _train_both(
    student: Configuration, trainer: Trainer, options: Options, stop: threading.Event
) -> int:
    """Train the teacher, where one is needed and not given, then the student."""
    from trainers.method_api.loading import load_method  # loads torch

    method = load_method(student.method)
    for warning in trainer.dataset(student.task.data, student.data_root).warnings:
        click.echo(f"warning: {warning}", err=True)
    if method.needs_teacher and student.teacher is None:
        code, file = _teacher_file(student, trainer, options.output, stop)
        if code:
            return code
        student = replace(student, teacher=file)
    code, student = _prepared(student, trainer, options.output, stop)
    if code:
        return code
    return _report(student, trainer, _train(student, trainer, stop))


def _check_folder(student: Configuration, resume: bool) -> None:
    step, file = student.stored()
    if file is not None and not resume:
        raise CheckpointError(
            f"{file}: the same configuration was trained to step {step} before; give --resume to "
            "go on from there, or another --output"
        )


def _teacher_file(
    student: Configuration, trainer: Trainer, output: Path, stop: threading.Event
) -> tuple[int, Path | None]:
    """Train the student's teacher where need be; return the exit code and the file of weights."""
    from trainers.training.single_run import teacher_of  # loads torch

    if student.task.teacher is None:
        raise TaskError(f"task {student.task.name} has no teacher, {student.method} needs one")
    dataset = trainer.dataset(student.task.data, student.data_root)
    teacher = teacher_of(student, dataset, output)
    step, file = teacher.stored()
    if step == teacher.task.schedule.steps:
        click.echo(f"teacher: {file}")
        return 0, file
    click.echo(f"teacher: none of this kind in {output}, so it is trained first and kept there")
    outcome = _train(teacher, trainer, stop)
    return _report(teacher, trainer, outcome), outcome.checkpoint


def _prepared(
    student: Configuration, trainer: Trainer, output: Path, stop: threading.Event
) -> tuple[int, Configuration]:
    """Train the preparation of the student's method where need be; return exit code and student."""
    from trainers.training.single_run import preparation_of  # loads torch

    dataset = trainer.dataset(student.task.data, student.data_root)
    preparation = preparation_of(student, dataset, output)
    if preparation is None:
        return 0, student
    outcome = _train(preparation, trainer, stop)
    if outcome.ending is not Ending.REACHED or outcome.checkpoint is None:
        return _report(preparation, trainer, outcome), student
    if outcome.step < preparation.task.schedule.steps:
        click.echo(f"stopped at step {outcome.step}; the same command with --resume goes on")
        return INTERRUPTED, student
    click.echo(f"preparation: {outcome.checkpoint}")
    return 0, replace(student, preparations={preparation.method: outcome.checkpoint})


def _train(configuration: Configuration, trainer: Trainer, stop: threading.Event) -> MemberOutcome:
    from trainers.training.single_run import train  # loads torch

    steps, (start, _) = configuration.task.schedule.steps, configuration.stored()
    click.echo(f"{configuration.task.name}/{configuration.method}: steps {start} to {steps}")
    progress = Progress(steps, start, click.echo)
    control = Control(on_progress=progress, should_stop=stop.is_set)
    return train(configuration, trainer, control)


def _report(configuration: Configuration, trainer: Trainer, outcome: MemberOutcome) -> int:
    """Print what came out; return the exit code."""
    if outcome.ending in (Ending.LOST, Ending.DAMAGED):
        raise CheckpointError(str(outcome.reason))
    if outcome.ending is not Ending.REACHED:
        click.echo(f"{outcome.ending} at step {outcome.step}")
        click.echo(outcome.reason or "the loss was no longer finite", err=True)
        return NO_RESULT
    if outcome.score is None:
        click.echo(f"stopped at step {outcome.step}; the same command with --resume goes on")
        return INTERRUPTED
    dataset = trainer.dataset(configuration.task.data, configuration.data_root)
    for name, iou in zip(dataset.class_names, outcome.class_iou, strict=True):
        click.echo(f"  {name:12s} " + ("not there" if iou is None else f"{iou:6.2f} %"))
    click.echo(f"mIoU {outcome.score:.2f} % on {len(dataset.selection)} selection images")
    click.echo(f"weights: {outcome.checkpoint}")
    if dataset.note:
        click.echo(dataset.note)
    return 0


if __name__ == "__main__":
    main(prog_name="python -m trainers")
