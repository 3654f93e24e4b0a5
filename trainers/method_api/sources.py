"""Where methods come from: this package, entry points of others, folders that a user names.

A method is always a pair of files of one stem: its code NAME.py and its space NAME.toml. Nothing
is imported to find them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from search_spaces import space_file, space_names
from trainers.errors import MethodError

FOLDER = Path(__file__).parents[1] / "methods"
PACKAGE = "trainers.methods"
GROUP = "sweeper.methods"  # of entry points: NAME = "package.module", beside it module.toml
BUILT_IN = "sweeper"  # the origin of the methods of this package
PREFIX = "sweeper_method_"  # of the modules that are imported from a user's folder
VARIABLE = "SWEEPER_METHOD_PATH"  # folders with pairs of files; read by every process of a sweep


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The two files of a method."""

    name: str
    code: Path
    space: Path
    module: str | None  # under which it is imported; None: from the file alone
    origin: str  # for messages


def pairs() -> Mapping[str, Pair]:
    """Return every method's files by name, in that order; MethodError where two have one name.

    Looked for once: what a process has imported does not change with its files.
    """
    return _pairs(os.environ.get(VARIABLE, ""))


def own_folders() -> list[Path]:
    """Return the folders that users have named; MethodError where one is no folder."""
    return method_folders(os.environ.get(VARIABLE, ""))


@cache
def _pairs(folders: str) -> Mapping[str, Pair]:
    found: dict[str, Pair] = {}
    for pair in (*_built_in(), *_entry_points(), *_in_folders(method_folders(folders))):
        if pair.name in found:
            first = found[pair.name]
            raise MethodError(
                f"method {pair.name!r} is in {pair.origin} and in {first.origin}: rename one"
            )
        found[pair.name] = pair
    return MappingProxyType(dict(sorted(found.items())))


def method_folders(text: str) -> list[Path]:
    """Return the folders of a list like PATH's; MethodError where one is no folder."""
    folders = [Path(part).absolute() for part in text.split(os.pathsep) if part]
    for folder in folders:
        if not folder.is_dir():
            raise MethodError(
                f"method path {folder} is no folder: it must hold pairs of files NAME.py, NAME.toml"
            )
    return folders


def _built_in() -> Iterator[Pair]:
    for name in space_names():
        code = FOLDER / f"{name}.py"
        if code.is_file():
            module = f"{PACKAGE}.{name}"
            yield Pair(name=name, code=code, space=space_file(name), module=module, origin=BUILT_IN)


def _entry_points() -> Iterator[Pair]:
    for point in entry_points(group=GROUP):
        spec = find_spec(point.module)
        if spec is None or spec.origin is None:
            raise MethodError(f"entry point {point.name} of {GROUP}: no module {point.module!r}")
        code = Path(spec.origin)
        space = code.with_suffix(".toml")
        if code.stem != point.name:
            raise MethodError(
                f"entry point {point.name} of {GROUP}: its module must have that name, got {code}"
            )
        if not space.is_file():
            raise MethodError(f"entry point {point.name} of {GROUP}: {space} is missing")
        yield Pair(
            name=point.name, code=code, space=space, module=point.module, origin=point.module
        )


def _in_folders(folders: Iterable[Path]) -> Iterator[Pair]:
    for folder in folders:
        for space in sorted(folder.glob("*.toml")):
            code = space.with_suffix(".py")
            if not code.is_file():
                raise MethodError(f"{space} has no {code.name} beside it: a method is both files")
            yield Pair(name=space.stem, code=code, space=space, module=None, origin=str(folder))
