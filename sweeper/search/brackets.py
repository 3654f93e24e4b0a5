"""The plan of a study in integers: brackets, rungs, who goes on. Counts never depend on values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeper.core.errors import PlanError
from trainers.tasks import Task


@dataclass(frozen=True, kw_only=True)
class BracketPlan:
    """How the trials of one study are grouped and judged."""

    bracket: int
    rung_steps: tuple[int, ...]
    keep: tuple[int, ...]  # of a whole bracket, how many train up to each rung
    anchors: int  # trials 0 .. anchors-1 of the study always go on

    @classmethod
    def of(cls, task: Task, *, pruning: bool = True) -> BracketPlan:
        """Return the task's plan; without pruning every trial trains to the end."""
        search = task.search
        keep = search.keep if pruning else (search.bracket,) * len(search.keep)
        return cls(
            bracket=search.bracket, rung_steps=task.rung_steps, keep=keep, anchors=search.anchors
        )

    def check_budget(self, budget: int) -> None:
        """Raise PlanError unless the budget is a positive multiple of the bracket."""
        if budget >= 1 and budget % self.bracket == 0:
            return
        below = budget // self.bracket * self.bracket if budget > 0 else 0
        nearest = " or ".join(str(n) for n in (below, below + self.bracket) if n > 0)
        raise PlanError(
            f"budget {budget}: trials are planned in brackets of {self.bracket}, so the budget "
            f"must be a positive multiple of it; use {nearest}"
        )

    def numbers(self, index: int) -> range:
        """Return the trial numbers of a bracket."""
        return range(index * self.bracket, (index + 1) * self.bracket)

    def is_anchor(self, number: int) -> bool:
        """Return whether this trial goes on whatever its value."""
        return number < self.anchors

    def places(self, index: int, rung: int) -> int:
        """Return how many of a bracket's judged trials (no anchors) train up to a rung."""
        judged = sum(not self.is_anchor(number) for number in self.numbers(index))
        return self.keep[rung] * judged // self.bracket

    def planned_steps(self, index: int) -> int:
        """Return the steps that a bracket may train, whatever its values turn out to be."""
        anchors = sum(self.is_anchor(number) for number in self.numbers(index))
        lengths = zip(self.rung_steps, (0, *self.rung_steps[:-1]), strict=True)
        return sum(
            (anchors + self.places(index, rung)) * (to - start)
            for rung, (to, start) in enumerate(lengths)
        )

    def allowed_steps(self, budget: int) -> int:
        """Return the steps that a search of this budget may train."""
        return sum(self.planned_steps(index) for index in range(budget // self.bracket))

    def width(self, index: int) -> int:
        """Return how many trials of a bracket can train at the same time at least, at its end."""
        return sum(self.is_anchor(n) for n in self.numbers(index)) + self.places(
            index, len(self.keep) - 1
        )

    def promoted(self, index: int, rung: int, values: Mapping[int, float]) -> list[int]:
        """Return the numbers that go on from a rung, best first; ties go to the lower number.

        `values` holds the judged trials that reached the rung with a finite value.
        """
        ranked: Sequence[int] = sorted(values, key=lambda number: (-values[number], number))
        return list(ranked[: self.places(index, rung + 1)])
