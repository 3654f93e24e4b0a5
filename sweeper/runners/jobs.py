"""Segments that are out with a worker, and how closely those are listened to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from trainers.training.segment import Segment
from trainers.training.worker import WorkerStatus

SILENCE_STEPS = 50  # that a worker may be silent for, by the measured time of a step
FIRST_SIGN = 5  # times the silence: a teacher may have to be loaded and a device set up


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How closely workers are listened to."""

    listen_s: float = 2.0  # between two questions how far a worker is
    silence_s: float = 120.0  # without a sign of life that are always forgiven


HABITS = Habits()


@dataclass(kw_only=True)
class Job:
    """A segment that a worker has."""

    number: int
    segment: Segment
    step: int
    began: float = field(default_factory=time.monotonic)
    signs: int = 0
    alive: float = field(default_factory=time.monotonic)  # when its signs were last seen to rise
    _is_news: bool = False

    def hear(self, pulse: WorkerStatus) -> None:
        """Note what the worker said; it is alive if its signs have risen."""
        if pulse.heartbeats > self.signs:
            self.step, self.signs, self.alive = pulse.step, pulse.heartbeats, time.monotonic()
            self._is_news = True

    def forgive(self, seconds: float) -> None:
        """Count no silence for so long: nobody listened."""
        self.began += seconds
        self.alive += seconds

    def is_silent(self, habits: Habits) -> bool:
        """Return whether there was no sign of life for longer than is forgiven."""
        return time.monotonic() - self.alive > self._patience_s(habits.silence_s)

    def news(self) -> int | None:
        """Return the step that was heard of since the last call, if there was any."""
        is_news, self._is_news = self._is_news, False
        return self.step if is_news else None

    def _patience_s(self, shortest: float) -> float:
        """Return how long the worker may be silent, judged by how long its steps took so far."""
        if not self.signs:
            return FIRST_SIGN * shortest
        return max(shortest, SILENCE_STEPS * (self.alive - self.began) / self.signs)
