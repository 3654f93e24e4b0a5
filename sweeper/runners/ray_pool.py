"""Long-lived workers on a Ray cluster: hired, given segments, listened to, replaced when they die.

A worker keeps data and teacher from one segment to the next. What it was doing when it died, or
fell silent, comes back as an outcome whose members are all lost.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from sweeper.core.errors import ClusterError
from sweeper.runners.jobs import HABITS, Habits, Job
from sweeper.runners.lost_segments import MAX_DEATHS, lost, reason_of
from sweeper.runners.ray_cluster import PACKAGES, Cluster, fault_of_worker
from sweeper.runners.worker_options import Premises
from trainers.training.segment import Outcome, Segment
from trainers.training.worker import Worker, WorkerDescription, WorkerStatus

THREADS_AT_ONCE = 3  # a segment, a question, a stop

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Seat:
    """The place of one worker, whoever holds it at present."""

    actor: Any = None
    awaited: Any = None  # the reference of its introduction or of its job's outcome
    question: Any = None  # the reference of a pulse that was asked for
    job: Job | None = None
    is_ready: bool = False
    deaths: int = 0


class RayCrew:
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

    def __enter__(self) -> RayCrew:
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
        for job in self.jobs:  # the driver may have waited for its database
            job.forgive(time.monotonic() - self._polled)
        ended = self._hear_from_workers(timeout_s)
        for seat in list(self._seats):
            if seat.job is not None and seat.job.is_silent(self.habits):
                ended.append(self._give_up(seat, seat.job))
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

    def _hire(self, seat: _Seat) -> None:
        options = {"num_cpus": self._premises.threads, "num_gpus": self._cluster.gpus}
        seat.actor = self._class.options(
            **options, max_concurrency=THREADS_AT_ONCE, max_restarts=0, max_task_retries=0
        ).remote()
        if self._stopping:
            seat.actor.stop.remote()
        seat.is_ready, seat.job, seat.question = False, None, None
        seat.awaited = seat.actor.describe.remote(
            self._premises.data,
            self._premises.root,
            PACKAGES,
            self._cluster.marker,
            self._premises.folder,
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
            introduction: WorkerDescription = ray.get(reference)
        except RayTaskError as error:
            self._dismiss(seat, str(error.cause or error))
        except RayError as error:
            self._replace(seat, reason_of(error))
        else:
            fault = fault_of_worker(introduction, self._cluster, self._premises)
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
                pulse: WorkerStatus | None = ray.get(reference)
                if pulse is not None and seat.job is not None:
                    seat.job.hear(pulse)
        for seat in self._seats:
            if seat.job is not None and seat.question is None:
                seat.question = seat.actor.status.remote(seat.job.number)

    def _give_up(self, seat: _Seat, job: Job) -> tuple[Job, Outcome]:
        reason = f"no progress at step {job.step} for {time.monotonic() - job.alive:.0f} s"
        self._replace(seat, reason)
        return job, lost(job, reason)
