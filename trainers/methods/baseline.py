"""The student trained on the labels alone: what every other method has to beat."""

from __future__ import annotations

from trainers.method_api.method import Method


class Baseline(Method):
    """No teacher, no terms: the task loss."""

    needs_teacher = False
