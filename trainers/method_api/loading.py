"""From a method's name to its class: that of a file, a combination `A+B`, or one `term:NAME`."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from torch import Tensor

from trainers.errors import CODE_ERRORS, MethodError
from trainers.method_api.derived import JOINT, TERM, weighting_names
from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.registry import combined_spaces, origin_of_part, pair_of
from trainers.method_api.sources import PREFIX, Pair
from trainers.method_api.space_file import MethodSpace
from trainers.models.outputs import Shape


def load_method(name: str) -> type[Method]:
    """Return the class of that method; MethodError where there is none, or not exactly one."""
    if name.startswith(TERM):
        part = name.removeprefix(TERM)
        origin = origin_of_part(part)
        return _single_part(part, load_method(origin.name), origin)
    if JOINT in name:
        spaces = combined_spaces(name)
        return _combine(load_method(spaces[0].name), load_method(spaces[1].name), spaces)
    return _class_in(_module(pair_of(name)))


def preparation_name(kind: type[Method]) -> str | None:
    """Return the name of the method whose preparation this one needs: methods may share one."""
    if kind.preparation is None:
        return None
    return kind.preparation.__module__.rpartition(".")[2].removeprefix(PREFIX)


def _combine(
    weighting: type[Method], distilling: type[Method], spaces: tuple[MethodSpace, MethodSpace]
) -> type[Method]:
    """Return the class of a combination: the first one's task loss, all of the second one's terms.

    `spaces` are theirs, in that order.
    """
    first, second = spaces
    names = weighting_names(first, second)
    silent = {**first.published, **dict.fromkeys(first.terms, 0.0)}

    class Combination(distilling):  # type: ignore[misc,valid-type]
        """Terms of one method, the task loss of another."""

        needs_teacher = True
        needs_teacher_aux = weighting.needs_teacher_aux or distilling.needs_teacher_aux

        def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
            super().__init__({name: values[name] for name in second.published}, student, teacher)
            own = {name: values[mine] for name, mine in names.items()}
            self.weighting = weighting({**silent, **own}, student, teacher)

        @classmethod
        def last_switch(cls, values: Hyperparameters) -> float:
            """Return the later one of both."""
            own = {name: values[mine] for name, mine in names.items()}
            return max(weighting.last_switch({**silent, **own}), distilling.last_switch(values))

        def task_loss(self, step: Step, auxiliary_weight: float) -> Tensor:
            """Return the task loss as the first method weights it."""
            return self.weighting.task_loss(step, auxiliary_weight)

    return Combination


def _single_part(part: str, origin: type[Method], space: MethodSpace) -> type[Method]:
    """Return the class of one term, or one weighting, of a method whose space is given."""
    silent = {**space.published, **dict.fromkeys(space.terms, 0.0)}
    is_term = part in space.terms

    class SinglePart(origin):  # type: ignore[misc,valid-type]
        """One term of a method on top of the baseline, or its weighting alone."""

        terms = (part,) if is_term else ()
        vanishing = tuple(name for name in origin.vanishing if name == part)
        held = tuple(name for name in origin.held if name == part)

        def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
            super().__init__({**silent, **values}, student, teacher)

        @classmethod
        def last_switch(cls, values: Hyperparameters) -> float:
            """Return the method's, as far as it depends on what is left of it."""
            return origin.last_switch({**silent, **values})

        def task_loss(self, step: Step, auxiliary_weight: float) -> Tensor:
            """Return the plain task loss for a term, the method's own for a weighting."""
            if is_term:
                return Method.task_loss(self, step, auxiliary_weight)
            weighted: Tensor = super().task_loss(step, auxiliary_weight)
            return weighted

    return SinglePart


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
