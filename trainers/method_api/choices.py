"""Hyperparameters that are one of a few words, checked when a method is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainers.errors import MethodError, near_miss
from trainers.method_api.method import Hyperparameters


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
