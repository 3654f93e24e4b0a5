"""Folders that hold other code under our names, or users' files under the names of libraries."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.sweeper.processes import ROOT

INSTALLED = Path(sys.executable).with_name("sweeper")  # unlike -m, not from the current folder
PACKAGES = ("sweeper", "trainers", "search_spaces")
LIBRARIES = ("torch", "ray", "numpy")
RATE = "float(schedule.learning_rate * "


def clone_in(folder: Path) -> Path:
    """Return a folder with our packages in which the optimiser takes a quarter of the rate."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    changed = folder / "trainers" / "training" / "optimizer.py"
    text = changed.read_text()
    assert RATE in text
    changed.write_text(text.replace(RATE, RATE.replace(" *", " / 4 *")))
    return folder


def clutter_in(folder: Path) -> Path:
    """Return such a folder that holds besides what has the names of libraries and is none."""
    clone_in(folder)
    for name in LIBRARIES:
        (folder / f"{name}.py").write_text(f"raise ImportError('this is not {name}')\n")
    return folder
