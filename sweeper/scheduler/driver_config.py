"""Where and how a driver trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from trainers.training.segment import CHECKPOINT_SECONDS, Outcome


@dataclass(frozen=True, kw_only=True)
class DriverConfig:
    """Where and how a driver trains; nothing here changes a number."""

    checkpoints: Path
    data_root: Path | None = None
    teacher: Path | None = None
    preparations: Mapping[str, Path] = field(default_factory=dict)  # trained ones, by method
    hashes: Mapping[Path, str] = field(default_factory=dict)  # weights that those files must hold
    device: str = "cpu"
    cohort: int = 8  # most members of a segment
    max_seconds: float = CHECKPOINT_SECONDS  # of a segment
    code_of: Callable[[str], str] | None = None  # hash of a method's code here; None: not checked

    def damaged_files(self, outcome: Outcome) -> set[Path]:
        """Return the files of teacher and preparations that an outcome's members could not use."""
        shared = {self.teacher, *self.preparations.values()}
        return {m.damaged for m in outcome.members if m.damaged is not None and m.damaged in shared}

    def without(self, file: Path) -> DriverConfig:
        """Return the configuration that lacks that file of a teacher or a preparation."""
        return replace(
            self,
            teacher=None if self.teacher == file else self.teacher,
            preparations={n: path for n, path in self.preparations.items() if path != file},
        )
