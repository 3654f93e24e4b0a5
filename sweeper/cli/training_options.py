"""With what a command trains: the options of workers and limits, the same for all that drive."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from sweeper.cli.database_option import database_option
from sweeper.cli.method_path import method_path_option
from sweeper.core.config import Config
from sweeper.core.launch_limits import parse_limits
from sweeper.runners.worker_options import WorkerOptions, choose_workers

F = TypeVar("F", bound=Callable[..., Any])


def read_training_options(given: dict[str, Any], config: Config, *, cohort: int) -> dict[str, Any]:
    """Return the fields of `TrainingOptions`; `cohort` is the task's, taken where none is given.

    ConfigError for options that contradict each other.
    """
    device = given["device"] or config.device
    asked = WorkerOptions(
        workers=given["workers"],
        gpus_per_worker=given["gpus_per_worker"],
        address=given["address"],
        device=device,
    )
    folder = given["checkpoint_dir"]
    return {
        "config": config,
        "database": given["database"],
        "checkpoints": (folder or config.home / "checkpoints").absolute(),
        "device": device,
        "cohort": given["cohort"] or cohort,
        "worker_options": choose_workers(
            given["runner"], asked, database=given["database"], checkpoints=folder
        ),
        "limits": parse_limits(given["max_device_hours"], given["deadline"], datetime.now(UTC)),
    }


def log_to_console() -> None:
    """Show warnings and errors; what is less goes to the log files alone."""
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    logging.basicConfig(handlers=[console], format="%(levelname)s %(name)s: %(message)s")


def training_options(command: F) -> F:
    """Add the options that `read_training_options` reads."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


OPTIONS = (
    method_path_option,
    click.option("--cohort", type=click.IntRange(min=1), help="Most trials that train together."),
    click.option("--device", help="cpu, cuda or cuda:N [default: a GPU if there is one]."),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Processes that train side by side; more than one run on Ray.",
    ),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(min=0),
        help="Share of a GPU that each worker gets, 0 to 1 [default: an equal share of all].",
    ),
    click.option("--address", help="HOST:PORT of a Ray cluster to use, or auto on a node of it."),
    click.option(
        "--runner",
        type=click.Choice(["inline", "ray", "tune"]),
        help="inline: train in this process; ray: on workers; tune: each segment as a trial of Ray "
        "Tune, where that is the rule, for 20 ms each [default: ray for several workers or with "
        "--address].",
    ),
    click.option(
        "--checkpoint-dir",
        type=click.Path(path_type=Path),
        help="Every node must see it [default: under SWEEPER_HOME].",
    ),
    click.option(
        "--max-device-hours",
        type=float,
        metavar="H",
        help="End when it has used so many; the same command goes on with a higher H.",
    ),
    click.option(
        "--deadline",
        metavar="WHEN",
        help="End then: 2026-11-21T08:00 (local time), or a length such as 90min, 8h, 1d12h.",
    ),
    database_option,
)
