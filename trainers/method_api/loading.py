"""Loading methods: from a method's name to its class, which needs torch."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from trainers.errors import CODE_ERRORS, MethodError
from trainers.method_api.composed import combine, single_part
from trainers.method_api.derived import JOINT, TERM
from trainers.method_api.method import Method
from trainers.method_api.registry import combined_spaces, origin_of_part, pair_of
from trainers.method_api.sources import PREFIX, Pair


def load_method(name: str) -> type[Method]:
    """Return the class of that method; MethodError where there is none, or not exactly one."""
    if name.startswith(TERM):
        part = name.removeprefix(TERM)
        origin = origin_of_part(part)
        return single_part(part, load_method(origin.name), origin)
    if JOINT in name:
        spaces = combined_spaces(name)
        return combine(load_method(spaces[0].name), load_method(spaces[1].name), spaces)
    return _class_in(_module(pair_of(name)))


def preparation_name(kind: type[Method]) -> str | None:
    """Return the name of the method whose preparation this one needs: methods may share one."""
    if kind.preparation is None:
        return None
    return kind.preparation.__module__.rpartition(".")[2].removeprefix(PREFIX)


def _class_in(module: ModuleType) -> type[Method]:
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
