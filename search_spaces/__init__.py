"""Published values and ranges of every method, as data; this module only finds the files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
BASELINE = "baseline"  # the method that trains on the labels alone, which all are compared with
SHARED = "shared"
MEASURED = "measured"


def space_names() -> list[str]:
    """Return the names of the methods that have a search space, in alphabetical order."""
    return sorted({file.stem for file in FOLDER.glob("*.toml")} - {SHARED, MEASURED})


def space_file(name: str) -> Path:
    """Return the file of that method's search space; FileNotFoundError where it has none."""
    if name not in space_names():
        raise FileNotFoundError(f"no search space {name!r} in {FOLDER}: add {name}.toml")
    return FOLDER / f"{name}.toml"


def shared_file() -> Path:
    """Return the file of the dimensions that every method shares."""
    return FOLDER / f"{SHARED}.toml"


def measured() -> dict[str, Any]:
    """Return the measured costs and gradient-norm ratios; empty where nothing was measured."""
    file = FOLDER / f"{MEASURED}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
