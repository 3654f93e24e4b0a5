"""The classes of methods without files; see `derived.py`."""

from __future__ import annotations

from torch import Tensor

from trainers.method_api.derived import weighting_names
from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.space_file import MethodSpace
from trainers.models.outputs import Shape


def combine(
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


def single_part(part: str, origin: type[Method], space: MethodSpace) -> type[Method]:
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
