"""The host, versions and code that a process runs with, so that two places can be compared."""

from __future__ import annotations

import platform
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.training.imported_code import Code, bare_version, imported_code


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A place where segments could be run."""

    host: str
    versions: Mapping[str, str]  # of Python and packages, without build labels
    code: Code
    sees_marker: bool  # True where no marker was given


def environment(packages: Sequence[str], marker: Path | None = None) -> Environment:
    """Return what this process sees; `marker` is a file that it should see."""
    return Environment(
        host=socket.gethostname(),
        versions={"python": _python()} | {name: bare_version(name) for name in packages},
        code=imported_code(),
        sees_marker=marker is None or marker.is_file(),
    )


def differences(there: Environment, here: Environment) -> list[str]:
    """Return one phrase for each version that differs."""
    return [
        f"{name} {there.versions.get(name, 'not installed')} instead of {mine}"
        for name, mine in here.versions.items()
        if there.versions.get(name) != mine
    ]


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])
