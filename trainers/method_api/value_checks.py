"""What methods refuse when they are built: unusable values, a teacher not described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainers.errors import MethodError, near_miss
from trainers.method_api.method import Hyperparameters
from trainers.models.outputs import Shape


def require_positive(method: str, values: Hyperparameters, *names: str) -> None:
    """Do nothing if each of these hyperparameters is above 0; MethodError lists those that are not.

    Thus `require_positive("kd", values, "temperature")`.
    """
    faults = [
        f"{name} must be > 0, got {values[name]!r}" for name in names if not float(values[name]) > 0
    ]
    if faults:
        raise MethodError(f"method {method}: {'; '.join(faults)}")


def require_choices(
    method: str, values: Hyperparameters, choices: Mapping[str, Sequence[str]]
) -> None:
    """Do nothing if each hyperparameter is one of its words; MethodError lists those that are not.

    Thus `require_choices("cwd", values, {"features": ("logits", "head")})`.
    """
    faults = [
        f"{name} = {values[name]!r}{near_miss(str(values[name]), words)}"
        for name, words in choices.items()
        if values[name] not in words
    ]
    if faults:
        raise MethodError(f"method {method}: {'; '.join(faults)}")


def channels_of(shape: Shape | None, feature: str) -> int:
    """Return a feature's number of channels; MethodError where net or feature is unknown."""
    if shape is None:
        raise MethodError("the method needs the teacher's shape, got none: give it one")
    if feature not in shape.channels:
        raise MethodError(f"no feature {feature!r}{near_miss(feature, shape.channels)}")
    return shape.channels[feature]
