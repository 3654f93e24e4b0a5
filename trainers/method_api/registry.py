"""The registry of methods: a method is a pair of files, a combination `A+B`, or one `term:NAME`.

Importing this package imports no torch; `load_method` does. Files here without a search space are
no methods: they hold what methods share, above all the terms.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING

from trainers.errors import CODE_ERRORS, MethodError, near_miss
from trainers.method_api.code_hash import file_hash
from trainers.method_api.derived import (
    COMBINATIONS,
    JOINT,
    TERM,
    all_parts,
    combined_space,
    home_of,
    term_space,
)
from trainers.method_api.sources import PREFIX, Pair, pairs
from trainers.method_api.space_file import MethodSpace, parse_space, values_of

if TYPE_CHECKING:
    from trainers.method_api.method import Method

__all__ = [
    "COMBINATIONS",
    "MethodSpace",
    "all_names",
    "all_terms",
    "code_hash",
    "load_method",
    "method_names",
    "parse_space",
    "read_space",
    "resolve",
]


def method_names() -> list[str]:
    """Return the names of all methods that have files, in alphabetical order."""
    return list(pairs())


def all_names() -> list[str]:
    """Return the names of all methods that a comparison holds: with files, then combinations."""
    names = method_names()
    return [*names, *(name for name in COMBINATIONS if set(name.split(JOINT)) <= set(names))]


def all_terms() -> list[str]:
    """Return the names of all terms and weightings, in alphabetical order."""
    return sorted(all_parts(_spaces()))


def read_space(name: str) -> MethodSpace:
    """Return the space of that method; MethodError names the file and lists every fault."""
    if name.startswith(TERM):
        part = name.removeprefix(TERM)
        return term_space(part, _home(part))
    if JOINT in name:
        return combined_space(*_both(name))
    return parse_space(_pair(name).space)


def resolve(name: str, params: Mapping[str, float | int | str]) -> dict[str, float | int | str]:
    """Return a value for every published name of that method; see `values_of`."""
    return values_of(read_space(name), params)


def code_hash(name: str) -> str:
    """Return the hash of all code that the method consists of; MethodError where it has none."""
    if name.startswith(TERM):
        return code_hash(_home(name.removeprefix(TERM)).name)
    if JOINT in name:
        return "".join(code_hash(space.name)[:32] for space in _both(name))
    return file_hash(_pair(name).code)


def load_method(name: str) -> type[Method]:
    """Return the class of that method; MethodError where there is none, or not exactly one."""
    if name.startswith(TERM):
        from trainers.method_api.composed import alone

        part = name.removeprefix(TERM)
        home = _home(part)
        return alone(part, load_method(home.name), home)
    if JOINT in name:
        from trainers.method_api.composed import combine

        spaces = _both(name)
        return combine(load_method(spaces[0].name), load_method(spaces[1].name), spaces)
    return _class_in(_module(_pair(name)))


def _pair(name: str) -> Pair:
    known = pairs()
    if name not in known:
        terms = [f"{TERM}{part}" for part in all_parts(_spaces())]
        miss = f"; did you mean '{TERM}{name}'?" if f"{TERM}{name}" in terms else ""
        raise MethodError(f"no method {name!r}{miss or near_miss(name, [*known, *COMBINATIONS])}")
    return known[name]


def _spaces() -> list[MethodSpace]:
    return [parse_space(pair.space) for pair in pairs().values()]


def _home(part: str) -> MethodSpace:
    return home_of(part, _spaces())


def _both(name: str) -> tuple[MethodSpace, MethodSpace]:
    parts = name.split(JOINT)
    if len(parts) != 2:
        raise MethodError(f"method {name!r}: a combination is WEIGHTING+METHOD, of two methods")
    return read_space(parts[0]), read_space(parts[1])


def _class_in(module: ModuleType) -> type[Method]:
    from trainers.method_api.method import Method

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


def _module(pair: Pair) -> ModuleType:
    return import_module(pair.module) if pair.module else _from_file(pair)


@cache
def _from_file(pair: Pair) -> ModuleType:
    """Import a method of a user's folder; what lies beside it can be imported by it."""
    folder = str(pair.code.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = spec_from_file_location(f"{PREFIX}{pair.name}", pair.code)
    if spec is None or spec.loader is None:
        raise MethodError(f"{pair.code} cannot be imported")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except CODE_ERRORS as error:
        raise MethodError(f"{pair.code}: {type(error).__name__}: {error}") from error
    return module
