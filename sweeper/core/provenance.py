"""Who runs what where: versions, git state, hardware; stored with every launch."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sweeper.core.names import this_user
from sweeper.core.passwords import mask_passwords
from trainers.runtime.processor import processor
from trainers.training.imported_code import imported_code

PACKAGES = ("sweeper", "torch", "torchvision", "optuna", "ray", "sqlalchemy", "numpy", "scipy")


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Who launched what, with which software."""

    who: str
    command: str
    provenance: Mapping[str, Any]


def this_launch(arguments: Sequence[str], **inputs: str | None) -> Launch:
    """Return who launches what, from which inputs; passwords in the command line are masked.

    Inputs are what repeats a trial without changing it: `task_file`, `data_root`, and `data_note`,
    which must be said with every result on the data.
    """
    return Launch(
        who=this_user(),
        command=shlex.join(["sweeper", *map(mask_passwords, arguments)]),
        provenance=provenance() | inputs,
    )


def provenance() -> dict[str, Any]:
    """Return versions, the code, the git commit of the package's checkout, and the machine."""
    return {
        "python": platform.python_version(),
        "packages": versions(),
        "code_hash": imported_code().hash,
        "git": _git(Path(__file__).parent),
        "machine": platform.machine(),
        "system": platform.platform(),
        "processor": processor(),
        "cpus": os.cpu_count(),
        "executable": sys.executable,
    }


def versions() -> dict[str, str]:
    """Return the versions of what decides on values; a bare checkout is not installed."""
    return {package: _version(package) for package in PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _git(folder: Path) -> dict[str, Any] | None:
    """Return commit and dirty flag, or None where the package is not run from a checkout."""
    commit = _output(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(_output(folder, "status", "--porcelain"))}


def _output(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
