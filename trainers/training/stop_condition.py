"""When training stops before the end of its segment."""

from __future__ import annotations

import time
from dataclasses import dataclass

from trainers.training.segment import Control


@dataclass(frozen=True, kw_only=True)
class StopCondition:
    """Stop on request, or at a deadline."""

    control: Control
    deadline: float | None = None  # by time.perf_counter()

    def is_met(self) -> bool:
        """Whether to stop at the step boundary reached."""
        late = self.deadline is not None and time.perf_counter() >= self.deadline
        return late or self.control.should_stop()

    def with_part(self, part: float) -> StopCondition:
        """Return the condition with `part` of the time that is left."""
        if self.deadline is None:
            return self
        now = time.perf_counter()
        return StopCondition(control=self.control, deadline=now + part * (self.deadline - now))

    def never_met(self) -> StopCondition:
        """Return a condition that is never met and still reports progress."""
        return StopCondition(
            control=Control(
                on_progress=self.control.on_progress, on_heartbeat=self.control.on_heartbeat
            )
        )
