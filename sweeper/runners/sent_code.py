"""The code that workers import: a copy of this process's own, sent to them by Ray.

Without it a worker would look in the driver's current folder first, then in what its node has.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainers.method_api.sources import VARIABLE, own_folders
from trainers.training.imported_code import code_files

ROOT = Path(__file__).parents[2]  # where the packages lie side by side
PACKAGES = ("sweeper", "trainers", "search_spaces")
METHODS = "method_path"  # folders of users' own methods lie in it, numbered


@contextmanager
def sent_code() -> Iterator[dict[str, Any]]:
    """Yield the runtime environment for `ray.init`, whose files are there while the block runs.

    As a working folder, since Ray then adds neither the driver's current folder nor that of its
    script to the workers' search path, and puts this one before PYTHONPATH and what is installed.
    """
    with TemporaryDirectory(prefix="sweeper-code-") as name:
        folder = Path(name)
        for package in PACKAGES:
            _copy(ROOT / package, folder / package)
        places = []
        for number, own in enumerate(own_folders()):
            places.append(f"{METHODS}/{number}")  # workers begin in the folder that is sent
            _copy(own, folder / places[-1])
        yield {"working_dir": name, "env_vars": {VARIABLE: os.pathsep.join(places)}}


def _copy(source: Path, target: Path) -> None:
    """Copy the code files of a folder, and nothing else that lies there."""
    target.mkdir(parents=True)
    for file in code_files(source):
        copied = target / file.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copied)
