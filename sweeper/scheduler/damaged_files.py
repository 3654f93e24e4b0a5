"""Damaged files that trials are trained with: made again, but not for ever."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from sweeper.core.errors import SweeperError
from sweeper.scheduler.driver_config import DriverConfig
from trainers.training.segment import MAX_DAMAGES, Outcome


class Damages:
    """How often each file was found damaged under one driver."""

    def __init__(self) -> None:
        self._times: Counter[Path] = Counter()

    def note(self, file: Path) -> None:
        """Count one more; SweeperError where that is too often: a fault of the disk."""
        self._times[file] += 1
        if self._times[file] > MAX_DAMAGES:
            raise SweeperError(disk_fault(file, str(file), self._times[file]))


def disk_fault(file: Path, what: str, times: int) -> str:
    """Return the line that ends a launch where damage comes back."""
    return (
        f"{what}: damaged files were found there {times} times under this launch; see to the disk "
        f"of {file.parent}, then run the same command again"
    )


def damaged_files(config: DriverConfig, outcome: Outcome) -> set[Path]:
    """Return the files of teacher and preparations that an outcome's members could not use."""
    shared = {config.teacher, *config.preparations.values()}
    return {m.damaged for m in outcome.members if m.damaged is not None and m.damaged in shared}


def without(config: DriverConfig, file: Path) -> dict[str, Any]:
    """Return the changes to a configuration that drop a teacher's or a preparation's file."""
    return {
        "teacher": None if config.teacher == file else config.teacher,
        "preparations": {n: path for n, path in config.preparations.items() if path != file},
    }
