"""What a command line asks for, with the defaults of the configuration filled in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sweeper.core.config import Config
from sweeper.core.launch_limits import NO_LIMITS, Limits
from sweeper.runners.worker_options import WorkerOptions
from sweeper.scheduler.launch_request import Request


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What the command line said of them, with the configuration's defaults filled in."""

    config: Config
    database: str | None
    checkpoints: Path
    device: str | None  # None: a GPU if there is one
    cohort: int
    worker_options: WorkerOptions | None = None  # workers on Ray; None: this process trains
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, kw_only=True)
class LaunchOptions(TrainingOptions):
    """What the command line said, with the configuration's defaults filled in."""

    request: Request
    task_file: Path | None = None  # of a task that does not come with the package


def inputs_of(
    options: TrainingOptions, root: Path | None, note: str, task_file: Path | None
) -> dict[str, str | None]:
    """Return what a launch was given, for its record: the next one goes on with it."""
    return {
        "data_root": str(root.absolute()) if root else None,
        "task_file": str(task_file.absolute()) if task_file else None,
        "data_note": note,
        "checkpoints": str(options.checkpoints),
    }
