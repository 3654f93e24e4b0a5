"""Tasks: one TOML file each beside this module, with `extends` to build one upon another."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trainers.errors import TaskError, near_miss
from trainers.tasks.schema import Net, Range, Schedule, Search, Task, Teacher

__all__ = ["Net", "Range", "Schedule", "Search", "Task", "Teacher", "load_task", "task_names"]

FOLDER = Path(__file__).parent


def task_names() -> list[str]:
    """Return the names of the tasks that come with the package, in alphabetical order."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def load_task(name: str | Path) -> Task:
    """Return the task of that name, or the one in that TOML file; TaskError lists every fault."""
    file = _file_of(str(name))
    try:
        return Task.model_validate({"name": file.stem, **_resolve(file, seen=())})
    except ValidationError as error:
        raise TaskError(f"{file}: {_all_faults(error)}") from error


def _file_of(name: str) -> Path:
    file = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not file.is_file():
        raise TaskError(f"no task {name!r}{near_miss(name, task_names())}")
    return file


def _resolve(file: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Return the file's tables laid over those of the task that it extends."""
    if file in seen:
        raise TaskError(f"{file}: extends itself by way of {' -> '.join(f.stem for f in seen)}")
    try:
        own = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"{file}: not valid TOML: {error}") from error
    parent = own.pop("extends", None)
    if parent is None:
        return own
    beside = file.parent / f"{parent}.toml"
    return _overlay(_resolve(beside if beside.is_file() else _file_of(parent), (*seen, file)), own)


def _overlay(base: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in upper.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _overlay(below, value) if both and below is not None else value
    return merged


def _all_faults(error: ValidationError) -> str:
    return "; ".join(_fault(details) for details in error.errors())


def _fault(details: Any) -> str:
    where = ".".join(str(part) for part in details["loc"]) or "task"
    if details["type"] == "extra_forbidden":
        return (
            f"{where}: unknown key{near_miss(str(details['loc'][-1]), _keys(details['loc'][:-1]))}"
        )
    return f"{where}: {details['msg'].removeprefix('Value error, ')}, got {details['input']!r}"


def _keys(path: Sequence[str | int]) -> list[str]:
    """Return the keys that the section at `path` may have."""
    model: Any = Task
    for part in path:
        annotation = model.model_fields[part].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        model = next(option for option in options if hasattr(option, "model_fields"))
    return list(model.model_fields)
