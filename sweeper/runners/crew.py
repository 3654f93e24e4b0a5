"""Long-lived workers on a Ray cluster: hired, given segments, listened to, replaced when they die.

A worker keeps data and teacher from one segment to the next. What it was doing when it died, or
fell silent, comes back as an outcome whose members are all lost.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from sweeper.errors import ClusterError
from sweeper.runners.cluster import PACKAGES, Cluster, fault_of
from sweeper.runners.staff import Premises
from trainers.segment import Ending, MemberOutcome, Outcome, Segment
from trainers.worker import Introduction, Pulse, Worker

SILENCE_STEPS = 50  # that a worker may be silent for, by the measured time of a step
FIRST_SIGN = 5  # times the silence: a teacher may have to be loaded and a device set up
MAX_DEATHS = 3  # of a worker, one after another, without an outcome between them
THREADS_AT_ONCE = 3  # a segment, a question, a stop

PLACE = re.compile(r"\bpid: (\d+) .*\bip: (\S+)")

logger = logging.getLogger(__name__)


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

    def hear(self, pulse: Pulse) -> None:
        """Note what the worker said; it is alive if its signs have risen."""
        if pulse.signs > self.signs:
            self.step, self.signs, self.alive = pulse.step, pulse.signs, time.monotonic()
            self._is_news = True

    def news(self) -> int | None:
        """Return the step that was heard of since the last call, if there was any."""
        is_news, self._is_news = self._is_news, False
        return self.step if is_news else None

    def patience_s(self, shortest: float) -> float:
        """Return how long the worker may be silent, judged by how long its steps took so far."""
        if not self.signs:
            return FIRST_SIGN * shortest
        return max(shortest, SILENCE_STEPS * (self.alive - self.began) / self.signs)


@dataclass(kw_only=True)
class _Seat:
    """The place of one worker, whoever holds it at present."""

    actor: Any = None
    awaited: Any = None  # the reference of its introduction or of its job's outcome
    question: Any = None  # the reference of a pulse that was asked for
    job: Job | None = None
    is_ready: bool = False
    deaths: int = 0


class Crew:
    """The workers of one launch; use it in a `with` statement."""

    def __init__(
        self,
        cluster: Cluster,
        premises: Premises,
        *,
        worker: type[Worker] = Worker,
        habits: Habits = HABITS,
    ) -> None:
        self._cluster, self._premises, self.habits = cluster, premises, habits
        self._class = ray.remote(worker)
        self._jobs = 0
        self._listened = self._polled = time.monotonic()
        self._stopping = False
        self._dismissed: list[str] = []  # why
        self._seats = [_Seat() for _ in range(cluster.workers)]
        for seat in self._seats:
            self._hire(seat)

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for seat in self._seats:
            ray.kill(seat.actor)

    @property
    def free(self) -> int:
        """How many workers could start at once."""
        return sum(seat.is_ready and seat.job is None for seat in self._seats)

    @property
    def starting(self) -> int:
        """How many workers are not there yet."""
        return sum(not seat.is_ready for seat in self._seats)

    @property
    def jobs(self) -> Sequence[Job]:
        """What is being trained."""
        return [seat.job for seat in self._seats if seat.job is not None]

    def start(self, segment: Segment) -> Job:
        """Give a segment to a free worker; there must be one."""
        seat = next(seat for seat in self._seats if seat.is_ready and seat.job is None)
        self._jobs += 1
        seat.job = Job(number=self._jobs, segment=segment, step=segment.start)
        seat.awaited = seat.actor.run.remote(seat.job.number, segment)
        return seat.job

    def poll(self, timeout_s: float) -> list[tuple[Job, Outcome]]:
        """Return the jobs that ended, after `timeout_s` or as soon as there is one.

        Raises ClusterError where no worker is left.
        """
        self._forgive(time.monotonic() - self._polled)
        ended = self._hear_from_workers(timeout_s)
        silent = [seat for seat in self._seats if self._is_silent(seat)]
        ended += [self._give_up(seat) for seat in silent]
        self._polled = time.monotonic()
        return ended

    def stop(self) -> None:
        """Ask every worker, also one that is hired later, to end its job after the running step."""
        self._stopping = True
        for seat in self._seats:
            seat.actor.stop.remote()

    def _hear_from_workers(self, timeout_s: float) -> list[tuple[Job, Outcome]]:
        awaited = {seat.awaited: seat for seat in self._seats if seat.awaited is not None}
        if not self._seats:
            raise ClusterError(f"no worker can be used: {self._dismissed[-1]}")
        if not awaited:
            return []
        done, rest = ray.wait(list(awaited), num_returns=1, timeout=timeout_s)
        if rest:
            done += ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        ended = [answer for ref in done if (answer := self._receive(awaited[ref]))]
        if time.monotonic() - self._listened >= self.habits.listen_s:
            self._listened = time.monotonic()
            self._listen()
        return ended

    def _forgive(self, seconds: float) -> None:
        """Count no silence while nobody listened: the driver may have waited for its database."""
        for job in self.jobs:
            job.began += seconds
            job.alive += seconds

    def _hire(self, seat: _Seat) -> None:
        options = {"num_cpus": self._premises.threads, "num_gpus": self._cluster.gpus}
        seat.actor = self._class.options(
            **options, max_concurrency=THREADS_AT_ONCE, max_restarts=0, max_task_retries=0
        ).remote()
        if self._stopping:
            seat.actor.stop.remote()
        seat.is_ready, seat.job, seat.question = False, None, None
        seat.awaited = seat.actor.introduce.remote(
            self._premises.data, self._premises.root, PACKAGES, self._cluster.marker
        )

    def _receive(self, seat: _Seat) -> tuple[Job, Outcome] | None:
        """Take what a seat's worker has answered; return the job that ended, if it was one."""
        job, reference, seat.awaited = seat.job, seat.awaited, None
        if job is None:
            self._welcome(seat, reference)
            return None
        try:
            outcome: Outcome = ray.get(reference)
        except RayError as error:
            reason = reason_of(error)
            self._replace(seat, reason.partition("\n")[0])
            return job, lost(job, reason)
        seat.job = seat.question = None
        seat.deaths = 0
        return job, outcome

    def _welcome(self, seat: _Seat, reference: Any) -> None:
        try:
            introduction: Introduction = ray.get(reference)
        except RayTaskError as error:
            self._dismiss(seat, str(error.cause or error))
        except RayError as error:
            self._replace(seat, reason_of(error))
        else:
            there = introduction.surroundings
            fault = fault_of(there, self._cluster)
            if fault is None and introduction.fingerprint != self._premises.fingerprint:
                fault = f"the data on node {there.host} are not those of this launch"
            if fault is None:
                seat.is_ready = True
            else:
                self._dismiss(seat, fault)

    def _replace(self, seat: _Seat, reason: str) -> None:
        """Hire another worker for a seat, unless one after another has failed in it.

        Also where the old one lives: after an error of its device, say, it would fail for ever.
        """
        ray.kill(seat.actor)
        seat.deaths += 1
        if seat.deaths >= MAX_DEATHS:
            self._dismiss(seat, reason)
            return
        logger.warning("a worker is replaced: %s", reason)
        self._hire(seat)

    def _dismiss(self, seat: _Seat, reason: str) -> None:
        ray.kill(seat.actor)
        self._dismissed.append(reason)
        self._seats.remove(seat)
        logger.warning("one worker less, %d are left: %s", len(self._seats), reason)

    def _listen(self) -> None:
        """Ask the busy workers how far they are, and note what those said who were asked before."""
        asked = {seat.question: seat for seat in self._seats if seat.question is not None}
        answered = ray.wait(list(asked), num_returns=len(asked), timeout=0)[0] if asked else []
        for reference in answered:
            seat = asked[reference]
            seat.question = None
            with contextlib.suppress(RayError):  # it died: its outcome will say so
                pulse: Pulse | None = ray.get(reference)
                if pulse is not None and seat.job is not None:
                    seat.job.hear(pulse)
        for seat in self._seats:
            if seat.job is not None and seat.question is None:
                seat.question = seat.actor.pulse.remote(seat.job.number)

    def _is_silent(self, seat: _Seat) -> bool:
        job = seat.job
        if job is None:
            return False
        return time.monotonic() - job.alive > job.patience_s(self.habits.silence_s)

    def _give_up(self, seat: _Seat) -> tuple[Job, Outcome]:
        job = seat.job
        if job is None:
            raise ValueError("a worker without a job cannot be given up")
        reason = f"no progress at step {job.step} for {time.monotonic() - job.alive:.0f} s"
        self._replace(seat, reason)
        return job, lost(job, reason)


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


def reason_of(error: RayError) -> str:
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
