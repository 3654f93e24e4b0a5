"""What a segment comes back as when its worker brought nothing back."""

from __future__ import annotations

import re
import time

from ray.exceptions import RayTaskError

from sweeper.runners.jobs import Job
from trainers.training.segment import Ending, MemberOutcome, Outcome

MAX_DEATHS = 3  # of a worker, one after another, without an outcome between them

PLACE = re.compile(r"\bpid: (\d+) .*\bip: (\S+)")


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
