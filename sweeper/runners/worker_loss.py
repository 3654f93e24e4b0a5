"""When a worker counts as lost, and what its segment comes back as; the pools replace it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from ray.exceptions import RayTaskError

from trainers.training.segment import Ending, MemberOutcome, Outcome, Segment
from trainers.training.worker import WorkerStatus

TIMEOUT_STEPS = 50  # without a heartbeat, by the measured time of a step
FIRST_TIMEOUT = 5  # times the timeout: a teacher may have to be loaded and a device set up
MAX_DEATHS = 3  # of a worker, one after another, without an outcome between them
PLACE = re.compile(r"\bpid: (\d+) .*\bip: (\S+)")


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """When a worker counts as lost."""

    interval_s: float = 2.0  # between two questions for a worker's status
    timeout_s: float = 120.0  # without a heartbeat that are always allowed


HEALTH_CHECK = HealthCheck()


@dataclass(kw_only=True)
class Job:
    """A segment that a worker has."""

    number: int
    segment: Segment
    step: int
    began: float = field(default_factory=time.monotonic)
    heartbeats: int = 0
    alive: float = field(default_factory=time.monotonic)  # when they last rose
    _is_new: bool = False

    def record_heartbeat(self, status: WorkerStatus) -> None:
        """Note a status of the worker: it is alive if its heartbeats have risen."""
        if status.heartbeats > self.heartbeats:
            self.step, self.heartbeats, self.alive = (
                status.step,
                status.heartbeats,
                time.monotonic(),
            )
            self._is_new = True

    def extend_timeout(self, seconds: float) -> None:
        """Count so long as no silence: nobody asked the worker."""
        self.began += seconds
        self.alive += seconds

    def has_timed_out(self, health_check: HealthCheck) -> bool:
        """Return whether there was no heartbeat for longer than is allowed."""
        return time.monotonic() - self.alive > self._timeout_s(health_check.timeout_s)

    def new_step(self) -> int | None:
        """Return the step that was reported since the last call, if there was any."""
        is_new, self._is_new = self._is_new, False
        return self.step if is_new else None

    def _timeout_s(self, shortest: float) -> float:
        """Return how long the worker may be silent, judged by how long its steps took so far."""
        if not self.heartbeats:
            return FIRST_TIMEOUT * shortest
        return max(shortest, TIMEOUT_STEPS * (self.alive - self.began) / self.heartbeats)


def lost(job: Job, reason: str) -> Outcome:
    """Return the outcome of a job that brought nothing back."""
    wall = time.monotonic() - job.began
    members = job.segment.members
    return Outcome(
        members=tuple(
            MemberOutcome(
                key=member.key,
                ending=Ending.LOST,
                step=job.segment.start,
                seconds=wall / len(members),
                reason=reason,
            )
            for member in members
        ),
        wall_seconds=wall,
        device_name="unknown",
    )


def reason_of(error: Exception) -> str:
    """Return why a worker brought no outcome: first a line, then the traceback if there is one.

    Without Ray's list of what else it could have been.
    """
    if isinstance(error, RayTaskError):
        cause = error.cause or error
        return f"{type(cause).__name__}: {' '.join(str(cause).split())}\n{error}"
    text = " ".join(str(error).split())
    place = PLACE.search(text)
    who = f"process {place[1]} on {place[2]}" if place else "before it began"
    why = text.partition(" Some common causes")[0]
    for beginning in ("The actor is dead because ", "Worker exit detail: "):
        why = why.rpartition(beginning)[2]
    return f"a worker died ({who}): {why}"
