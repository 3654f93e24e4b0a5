"""The student trained on the labels alone: what every other method has to beat."""

from __future__ import annotations

from torch import Tensor

from trainers.methods.base import Method, Step


class Baseline(Method):
    """No teacher, no terms: the task loss."""

    needs_teacher = False

    def losses(self, step: Step) -> dict[str, Tensor]:  # noqa: ARG002
        """Return nothing."""
        return {}
