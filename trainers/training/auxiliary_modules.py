"""The parts of a method that are trained by losses and optimisers of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from trainers.method_api.method import Method, Step


class Companions:
    """A method's companions and the rates that their optimisers began with."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._parts = dict(method.companions())
        self._rates = {
            name: [float(group["lr"]) for group in part.optimizer.param_groups]
            for name, part in self._parts.items()
        }

    def others(self, parameters: list[nn.Parameter]) -> list[nn.Parameter]:
        """Return those of the parameters that no companion has."""
        theirs = {id(p) for part in self._parts.values() for p in part.module.parameters()}
        return [parameter for parameter in parameters if id(parameter) not in theirs]

    def learn(self, step: Step, factor: float) -> None:
        """Let each companion take its step; `factor` is what is left of the schedule's rate."""
        if not self._parts:
            return
        for part in self._parts.values():  # the student's loss went through some of them
            part.optimizer.zero_grad(set_to_none=True)
        for name, loss in self._method.companion_losses(step).items():
            part = self._parts[name]
            loss.backward()  # type: ignore[no-untyped-call]
            for group, rate in zip(part.optimizer.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * factor if part.decays else rate
            part.optimizer.step()
            part.optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, dict[str, Any]]:
        """Return the states of the optimisers."""
        return {name: part.optimizer.state_dict() for name, part in self._parts.items()}

    def restore(self, states: Mapping[str, dict[str, Any]]) -> None:
        """Set the optimisers to stored states."""
        for name, state in states.items():
            self._parts[name].optimizer.load_state_dict(state)
