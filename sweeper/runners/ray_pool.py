"""A pool of long-lived workers on a Ray cluster: started, given segments, replaced when they die.

A worker keeps data and teacher from one segment to the next. What it was doing when it died, or
timed out, comes back as an outcome whose members are all lost.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from sweeper.core.errors import ClusterError
from sweeper.runners.dispatch import PoolRunner
from sweeper.runners.ray_cluster import PACKAGES, Cluster, fault_of_worker, open_cluster
from sweeper.runners.worker_loss import HEALTH_CHECK, MAX_DEATHS, HealthCheck, Job, lost, reason_of
from sweeper.runners.worker_options import WorkerOptions, WorkerRequirements
from trainers.training.segment import Outcome, Segment
from trainers.training.worker import Worker, WorkerDescription, WorkerStatus

THREADS_AT_ONCE = 3  # a segment, a question, a stop

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _WorkerSlot:
    """One place of the pool, and the worker that is in it at present."""

    actor: Any = None
    awaited: Any = None  # the reference of its description or of its job's outcome
    question: Any = None  # the reference of a status that was asked for
    job: Job | None = None
    is_ready: bool = False
    deaths: int = 0


class RayWorkerPool:
    """The workers of one launch; use it in a `with` statement."""

    def __init__(
        self,
        cluster: Cluster,
        requirements: WorkerRequirements,
        *,
        worker: type[Worker] = Worker,
        health_check: HealthCheck = HEALTH_CHECK,
    ) -> None:
        self._cluster, self._requirements, self.health_check = cluster, requirements, health_check
        self._class = ray.remote(worker)
        self._jobs = 0
        self._asked_at = self._polled = time.monotonic()
        self._stopping = False
        self._removed: list[str] = []  # why
        self._slots = [_WorkerSlot() for _ in range(cluster.workers)]
        for slot in self._slots:
            self._start_worker(slot)

    def __enter__(self) -> RayWorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for slot in self._slots:
            ray.kill(slot.actor)

    @property
    def free(self) -> int:
        """How many workers could start at once."""
        return sum(slot.is_ready and slot.job is None for slot in self._slots)

    @property
    def starting(self) -> int:
        """How many workers are not there yet."""
        return sum(not slot.is_ready for slot in self._slots)

    @property
    def jobs(self) -> Sequence[Job]:
        """What is being trained."""
        return [slot.job for slot in self._slots if slot.job is not None]

    def start(self, segment: Segment) -> Job:
        """Give a segment to a free worker; there must be one."""
        slot = next(slot for slot in self._slots if slot.is_ready and slot.job is None)
        self._jobs += 1
        slot.job = Job(number=self._jobs, segment=segment, step=segment.start)
        slot.awaited = slot.actor.run.remote(slot.job.number, segment)
        return slot.job

    def poll(self, timeout_s: float) -> list[tuple[Job, Outcome]]:
        """Return the jobs that ended, after `timeout_s` or as soon as there is one.

        Raises ClusterError where no worker is left.
        """
        for job in self.jobs:  # the driver may have waited for its database
            job.extend_timeout(time.monotonic() - self._polled)
        ended = self._poll_workers(timeout_s)
        for slot in list(self._slots):
            if slot.job is not None and slot.job.has_timed_out(self.health_check):
                ended.append(self._give_up(slot, slot.job))
        self._polled = time.monotonic()
        return ended

    def stop(self) -> None:
        """Ask every worker, also one that starts later, to end its job after the running step."""
        self._stopping = True
        for slot in self._slots:
            slot.actor.stop.remote()

    def _poll_workers(self, timeout_s: float) -> list[tuple[Job, Outcome]]:
        awaited = {slot.awaited: slot for slot in self._slots if slot.awaited is not None}
        if not self._slots:
            raise ClusterError(f"no worker can be used: {self._removed[-1]}")
        if not awaited:
            return []
        done, rest = ray.wait(list(awaited), num_returns=1, timeout=timeout_s)
        if rest:
            done += ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        ended = [answer for ref in done if (answer := self._receive(awaited[ref]))]
        if time.monotonic() - self._asked_at >= self.health_check.interval_s:
            self._asked_at = time.monotonic()
            self._ask_progress()
        return ended

    def _start_worker(self, slot: _WorkerSlot) -> None:
        options = {"num_cpus": self._requirements.threads, "num_gpus": self._cluster.gpus}
        slot.actor = self._class.options(
            **options, max_concurrency=THREADS_AT_ONCE, max_restarts=0, max_task_retries=0
        ).remote()
        if self._stopping:
            slot.actor.stop.remote()
        slot.is_ready, slot.job, slot.question = False, None, None
        slot.awaited = slot.actor.describe.remote(
            self._requirements.data,
            self._requirements.root,
            PACKAGES,
            self._cluster.marker,
            self._requirements.folder,
        )

    def _receive(self, slot: _WorkerSlot) -> tuple[Job, Outcome] | None:
        """Take what a slot's worker has answered; return the job that ended, if it was one."""
        job, reference, slot.awaited = slot.job, slot.awaited, None
        if job is None:
            self._admit(slot, reference)
            return None
        try:
            outcome: Outcome = ray.get(reference)
        except RayError as error:
            reason = reason_of(error)
            self._replace(slot, reason.partition("\n")[0])
            return job, lost(job, reason)
        slot.job = slot.question = None
        slot.deaths = 0
        return job, outcome

    def _admit(self, slot: _WorkerSlot, reference: Any) -> None:
        try:
            description: WorkerDescription = ray.get(reference)
        except RayTaskError as error:
            self._remove(slot, str(error.cause or error))
        except RayError as error:
            self._replace(slot, reason_of(error))
        else:
            fault = fault_of_worker(description, self._cluster, self._requirements)
            if fault is None:
                slot.is_ready = True
            else:
                self._remove(slot, fault)

    def _replace(self, slot: _WorkerSlot, reason: str) -> None:
        """Start another worker in a slot, unless one after another has failed in it.

        Also where the old one lives: after an error of its device, say, it would fail for ever.
        """
        ray.kill(slot.actor)
        slot.deaths += 1
        if slot.deaths >= MAX_DEATHS:
            self._remove(slot, reason)
            return
        logger.warning("a worker is replaced: %s", reason)
        self._start_worker(slot)

    def _remove(self, slot: _WorkerSlot, reason: str) -> None:
        ray.kill(slot.actor)
        self._removed.append(reason)
        self._slots.remove(slot)
        logger.warning("one worker less, %d are left: %s", len(self._slots), reason)

    def _ask_progress(self) -> None:
        """Ask the busy workers how far they are, and note what those said who were asked before."""
        asked = {slot.question: slot for slot in self._slots if slot.question is not None}
        answered = ray.wait(list(asked), num_returns=len(asked), timeout=0)[0] if asked else []
        for reference in answered:
            slot = asked[reference]
            slot.question = None
            with contextlib.suppress(RayError):  # it died: its outcome will say so
                status: WorkerStatus | None = ray.get(reference)
                if status is not None and slot.job is not None:
                    slot.job.record_heartbeat(status)
        for slot in self._slots:
            if slot.job is not None and slot.question is None:
                slot.question = slot.actor.status.remote(slot.job.number)

    def _give_up(self, slot: _WorkerSlot, job: Job) -> tuple[Job, Outcome]:
        reason = f"no progress at step {job.step} for {time.monotonic() - job.alive:.0f} s"
        self._replace(slot, reason)
        return job, lost(job, reason)


@contextmanager
def ray_runner(
    worker_options: WorkerOptions, requirements: WorkerRequirements
) -> Iterator[PoolRunner]:
    """Yield the runner on a cluster that is open as long as the block runs; see `open_cluster`."""
    with open_cluster(worker_options, requirements) as cluster:
        yield PoolRunner(RayWorkerPool, cluster, requirements)
