"""Damaged files that trials are trained with: made again, but not for ever."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sweeper.core.errors import SweeperError
from trainers.training.segment import MAX_DAMAGES


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
