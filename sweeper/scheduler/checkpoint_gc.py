"""Removing checkpoints that nothing needs, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from pathlib import Path

from sweeper.store.log_files import folder_name
from trainers.training.segment import memory_bank_file


def remove(files: Iterable[Path], folder: str) -> None:
    """Remove the files below a sweep's `folder`, and their own folders when they are empty then.

    What lies elsewhere stays: a sweep that came with a dump begins at the original's checkpoints.
    """
    for file in (file for file in files if folder in file.parts):
        file.unlink(missing_ok=True)
        memory_bank_file(file).unlink(missing_ok=True)
        _remove_if_empty(file.parent)


def tidy(root: Path, needed: Collection[tuple[str, str]], running: Collection[int] = ()) -> None:
    """Remove what lies in the segment folders below `root` and is not needed.

    `needed` holds folder name and file name, not paths: one folder has many spellings. The folders
    of the segments `running` are left alone.
    """
    spared = {folder_name(identifier) for identifier in running}
    kept = {(folder, str(beside)) for folder, file in needed for beside in _with_memory(Path(file))}
    for folder in root.glob("segment-*"):
        if folder.name in spared:
            continue
        for file in folder.iterdir():
            if (folder.name, file.name) not in kept:
                file.unlink(missing_ok=True)
        _remove_if_empty(folder)


def _with_memory(checkpoint: Path) -> tuple[Path, Path]:
    return checkpoint, memory_bank_file(checkpoint)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it is not empty, or gone already
        folder.rmdir()
