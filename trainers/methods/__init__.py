"""The registry of methods: a method is NAME.py here and NAME.toml in `search_spaces`, no list.

Importing this package imports no torch; `load_method` does. Files here without a search space are
no methods: they hold what methods share, above all the terms.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from search_spaces import space_names
from trainers.errors import MethodError, near_miss
from trainers.methods.fingerprint import code_hash
from trainers.methods.spec import MethodSpace, parse_space, read_space, resolve

if TYPE_CHECKING:
    from trainers.methods.base import Method

__all__ = [
    "MethodSpace",
    "code_hash",
    "load_method",
    "method_names",
    "parse_space",
    "read_space",
    "resolve",
]


def method_names() -> list[str]:
    """Return the names of all methods, in alphabetical order."""
    stems = {file.stem for file in Path(__file__).parent.glob("*.py")}
    return [name for name in space_names() if name in stems]


def load_method(name: str) -> type[Method]:
    """Return the class of that method; MethodError where there is none, or not exactly one."""
    if name not in method_names():
        raise MethodError(f"no method {name!r}{near_miss(name, method_names())}")
    from trainers.methods.base import Method

    module = import_module(f"{__name__}.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Method)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        names = [value.__name__ for value in found]
        raise MethodError(f"{module.__file__} must define exactly one Method, got {names}")
    return found[0]
