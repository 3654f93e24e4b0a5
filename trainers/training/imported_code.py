"""Which code this process has imported to train with: to be recorded and compared."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import search_spaces
from trainers.method_api.sources import BUILT_IN, VARIABLE, method_folders, pairs
from trainers.runtime.numerics import NUMERICS_VERSION
from trainers.tasks.identity import digest

FOLDER = Path(__file__).parents[1]
SUFFIXES = (".py", ".toml")
MOST_NAMED = 3  # parts that a difference names


@dataclass(frozen=True, kw_only=True)
class Code:
    """What decides on values besides a segment: files and versions."""

    folder: Path  # of the package `trainers` as it was imported
    parts: Mapping[str, str]  # file -> sha256 of its bytes; numerics, torch -> version

    @property
    def hash(self) -> str:
        """The sha256 of all of it, wherever the files lie."""
        return digest(dict(self.parts))


def imported_code() -> Code:
    """Return the code of this process; read once, since what is imported stays as it was.

    A comment counts as well: these are hashes of bytes.
    """
    return _code(os.environ.get(VARIABLE, ""))


def code_files(folder: Path) -> Iterator[Path]:
    """Yield the *.py and *.toml of a folder and of the packages in it, in order."""
    for path in sorted(folder.iterdir()):
        if path.suffix in SUFFIXES and path.is_file():
            yield path
        elif (path / "__init__.py").is_file():
            yield from code_files(path)


def code_differences(there: Code, here: Code) -> str:
    """Return what differs between two places, by name; empty where nothing does."""
    names = sorted({**there.parts, **here.parts})
    differing = [name for name in names if there.parts.get(name) != here.parts.get(name)]
    more = len(differing) - MOST_NAMED
    return ", ".join(differing[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def bare_version(package: str) -> str:
    """Return the version of an installed package without its build label, or that it is not."""
    try:
        return without_label(version(package))
    except PackageNotFoundError:
        return "not installed"


def without_label(text: str) -> str:
    """Return a version without what follows the plus sign.

    That names the device that it was built for, in which the nodes of a cluster may differ.
    """
    return text.partition("+")[0]


@cache
def _code(folders: str) -> Code:
    roots = {"trainers": FOLDER, "search_spaces": search_spaces.FOLDER}
    for place, folder in enumerate(method_folders(folders)):
        roots[f"method path {place}"] = folder
    files = {
        f"{name}/{path.relative_to(root).as_posix()}": path
        for name, root in roots.items()
        for path in code_files(root)
    }
    for pair in pairs().values():
        if pair.module is not None and pair.origin != BUILT_IN:
            files |= {f"{pair.module} {path.suffix}": path for path in (pair.code, pair.space)}
    parts = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return Code(
        folder=FOLDER, parts=parts | {"numerics": str(NUMERICS_VERSION), "torch": _torch_version()}
    )


def _torch_version() -> str:
    """Return torch's version without its build label: that of the module where it is imported."""
    module = sys.modules.get("torch")
    return bare_version("torch") if module is None else without_label(str(module.__version__))
