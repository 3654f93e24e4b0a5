"""`sweeper teacher`: train a task's teacher ahead of a sweep, or take one from a file."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweeper.cli.database_option import database_option
from sweeper.core.config import load_config
from sweeper.core.errors import ConfigError
from sweeper.scheduler.driver_config import DriverConfig
from sweeper.store.database import open_store
from trainers.runtime.terminal import stop_on_signal
from trainers.tasks import load_task

if TYPE_CHECKING:
    from sweeper.prerequisites.teacher import Teacher, TeacherContext
    from trainers.training.cohort import Trainer

EXAMPLES = """
\b
Examples:
  sweeper teacher --task shapes
  sweeper teacher --task camvid-tiny --data-root CAMVID
  sweeper teacher --task camvid-deeplabv3-r18 --data-root CAMVID --from r101.pt
"""


@click.command(name="teacher", epilog=EXAMPLES)
@click.option("--task", help="The task whose teacher is wanted; see sweeper tasks.")
@click.option("--data-root", type=click.Path(path_type=Path), help="Folder of the task's data set.")
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="Take these weights; train nothing."
)
@click.option("--device", help="cpu, cuda or cuda:N [default: a GPU if there is one].")
@click.option(
    "--checkpoint-dir", type=click.Path(path_type=Path), help="[default: under SWEEPER_HOME]"
)
@database_option
def command(**given: Any) -> None:
    """Train a task's teacher once, or take one from a file; `launch` does it when it is missing.

    A teacher is known by the hash of all that determines it (task, data, schedule, seed), so that
    every sweep of the task finds it again.
    """
    from sweeper.prerequisites.teacher import adopt_teacher, ensure_teacher  # loads torch
    from trainers.training.cohort import Trainer  # loads torch

    trainer = Trainer()
    with stop_on_signal(lambda line: click.echo(line, err=True)) as stop:
        context = _context(given, trainer, stop)
        if given["source"] is not None:
            teacher = adopt_teacher(context, trainer, given["source"])
        else:
            teacher = ensure_teacher(context, trainer)
    _report(teacher)


def _context(given: dict[str, Any], trainer: Trainer, stop: threading.Event) -> TeacherContext:
    from sweeper.driver.driver import print_warnings  # loads torch
    from sweeper.prerequisites.teacher import TeacherContext  # loads torch
    from trainers.runtime.devices import choose_device  # loads torch

    config = load_config()
    name = given["task"] or config.task
    if name is None:
        raise ConfigError("no task given: name one with --task; sweeper tasks lists them")
    task = load_task(name)
    root = config.find_data(given["data_root"])
    checkpoints = (given["checkpoint_dir"] or config.home / "checkpoints").absolute()
    device = choose_device(given["device"] or config.device)
    dataset = trainer.dataset(task.data, root)
    print_warnings(dataset)
    return TeacherContext(
        engine=open_store(given["database"], "sweeper teacher").engine,
        task=task,
        fingerprint=dataset.fingerprint,
        driver_config=DriverConfig(checkpoints=checkpoints, data_root=root, device=device),
        stop=stop,
        announce=lambda line: click.echo(line, err=True),
    )


def _report(teacher: Teacher) -> None:
    click.echo(f"teacher  {teacher.hash}")
    click.echo(f"weights  {teacher.weights_hash}")
    click.echo(f"mIoU     {teacher.score:.2f} % on the selection split, last step")
    click.echo(f"origin   {teacher.origin}")
    click.echo(f"file     {teacher.path}")
