"""How segments are handed to workers and recorded, whoever starts and keeps the workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from sweeper.core.errors import SweeperError
from sweeper.postgres.retry import retry_on_disconnect
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.ray_cluster import Cluster
from sweeper.runners.runner import OnOutcome, TrainPrerequisites, foreign_segment
from sweeper.runners.worker_loss import HEALTH_CHECK, HealthCheck, Job
from sweeper.runners.worker_options import WorkerRequirements
from sweeper.scheduler.state_machine import Assignment, Idle, Sweep
from trainers.training.segment import Control, Ending, Outcome, Segment
from trainers.training.worker import Worker

POLL_S = 0.5
ASK_S = 2.0  # between two questions for work while nothing has changed here: another launch may add
GATHER_S = 15.0  # for one more worker, at first: whoever comes first would take what is for all
TRIES = 3  # of a segment that is not a trial's

logger = logging.getLogger(__name__)


class WorkerPool(Protocol):
    """The workers of one launch."""

    @property
    def health_check(self) -> HealthCheck:
        """When a worker counts as lost."""
        ...

    @property
    def free(self) -> int:
        """How many workers could start at once."""
        ...

    @property
    def starting(self) -> int:
        """How many workers are not there yet."""
        ...

    @property
    def jobs(self) -> Sequence[Job]:
        """What is being trained."""
        ...

    def start(self, segment: Segment) -> Job:
        """Give a segment to a free worker; there must be one."""
        ...

    def poll(self, timeout_s: float) -> list[tuple[Job, Outcome]]:
        """Return the jobs that ended, after `timeout_s` or as soon as there is one.

        Raises ClusterError where no worker is left.
        """
        ...

    def stop(self) -> None:
        """Ask every worker, also one that comes later, to end its job after the running step."""
        ...


def run_with_pool(
    sweep: Sweep,
    pool: WorkerPool,
    heartbeat: Heartbeat,
    train_prerequisites: TrainPrerequisites,
    on_outcome: OnOutcome | None = None,
) -> bool:
    """Run segments until the sweep is done (True) or the heartbeat's stop is set (False).

    `train_prerequisites` is called, with who can train, when something is missing: a teacher, say.
    On a stop every worker ends its segment after the running step, and all of them are recorded.
    Raises LeaseLost when another driver has taken over, ClusterError when no worker is left.
    """
    return _Dispatcher(sweep, pool, heartbeat, on_outcome).drive(train_prerequisites)


class _Dispatcher:
    """Hands segments to a pool and records outcomes; its workers train prerequisites as well."""

    def __init__(
        self,
        sweep: Sweep,
        pool: WorkerPool,
        heartbeat: Heartbeat,
        on_outcome: OnOutcome | None = None,
    ) -> None:
        self.sweep, self.pool, self.heartbeat, self.on_outcome = sweep, pool, heartbeat, on_outcome
        self._assignments: dict[int, Assignment] = {}  # by number of the job
        self._outcomes: dict[int, Outcome] = {}  # of jobs that are not the sweep's
        self._stop_sent = False
        self._ask_at = 0.0

    def drive(self, train_prerequisites: TrainPrerequisites) -> bool:
        """Run the sweep; see `run_with_pool`."""
        self._wait_for_workers()
        while not self.heartbeat.stop.is_set():
            if self._assign(train_prerequisites):
                return True
            self._collect()
        while self._assignments:
            self._collect()
        self.heartbeat.check_lease()
        return False

    def run(self, segment: Segment, control: Control) -> Outcome:
        """Train a segment that is not the sweep's, while the sweep's go on.

        One that is lost is repeated; SweeperError when it is lost again and again.
        """
        for left in reversed(range(TRIES)):
            outcome = self._run_once(segment, control)
            reasons = [m.reason for m in outcome.members if m.ending is Ending.LOST]
            if not reasons:
                return outcome
            reason = (reasons[0] or "no reason given").partition("\n")[0]
            if not left or self.heartbeat.stop.is_set():
                break
        raise SweeperError(f"{segment.members[0].key} was lost, {TRIES - left} times: {reason}")

    def _run_once(self, segment: Segment, control: Control) -> Outcome:
        while not self.pool.free:
            self._collect()
        job = self.pool.start(segment)
        while job.number not in self._outcomes:
            self._keep_busy()
            self._collect()
            control.on_progress(job.step)
        return self._outcomes.pop(job.number)

    def _wait_for_workers(self) -> None:
        """Wait for the workers, so that the work is divided among all of them."""
        there, since, warned = 0, time.monotonic(), False
        while self.pool.starting and not self.heartbeat.stop.is_set():
            self._collect()
            if self.pool.free > there:
                there, since = self.pool.free, time.monotonic()
            if time.monotonic() - since > GATHER_S and not warned:
                warned = True
                logger.warning("%d workers wait for room on the cluster", self.pool.starting)
            if warned and there:
                return

    def _keep_busy(self) -> None:
        """Give the other workers what lacks nothing while one of them makes what is lacking."""
        while self._may_ask():
            assignment = retry_on_disconnect(
                lambda: self.sweep.next_segment(self.pool.free, is_making=True),
                before_retry=self._recover,
            )
            if not isinstance(assignment, Assignment):
                self._ask_at = time.monotonic() + ASK_S
                return
            self._start(assignment)

    def _may_ask(self) -> bool:
        is_wanted = not self.heartbeat.stop.is_set() and time.monotonic() >= self._ask_at
        return is_wanted and bool(self.pool.free)

    def _start(self, assignment: Assignment) -> None:
        self._assignments[self.pool.start(assignment.segment).number] = assignment
        self.heartbeat.note(assignment, assignment.segment.start)

    def _assign(self, train_prerequisites: TrainPrerequisites) -> bool:
        """Give segments to the free workers; return whether the sweep is done."""
        while self._may_ask():
            assignment = retry_on_disconnect(
                lambda: self.sweep.next_segment(self.pool.free), before_retry=self._recover
            )
            if isinstance(assignment, Assignment):
                self._start(assignment)
            elif assignment is Idle.NEEDS_PREREQUISITES:
                train_prerequisites(self)
                self._ask_at = 0.0
            elif self._assignments:
                self._ask_at = time.monotonic() + ASK_S
            elif assignment is Idle.DONE:
                return True
            else:
                raise foreign_segment()
        return False

    def _recover(self) -> None:
        self.sweep.recover({assignment.id for assignment in self._assignments.values()})

    def _collect(self) -> None:
        """Record what has ended, note how far the rest is, pass a stop on."""
        self.heartbeat.check_lease()
        if self.heartbeat.stop.is_set() and not self._stop_sent:
            self._stop_sent = True
            self.pool.stop()
        for job, outcome in self.pool.poll(min(POLL_S, self.pool.health_check.interval_s)):
            self._settle(job, outcome)
        for job in self.pool.jobs:
            assignment, step = self._assignments.get(job.number), job.new_step()
            if assignment is not None and step is not None:
                self.heartbeat.note(assignment, step)

    def _settle(self, job: Job, outcome: Outcome) -> None:
        self._ask_at = 0.0
        assignment = self._assignments.pop(job.number, None)
        if assignment is None:
            self._outcomes[job.number] = outcome
            return
        retry_on_disconnect(lambda: self.sweep.record(assignment, outcome))
        if self.on_outcome is not None:
            self.on_outcome(assignment, outcome)


class OpenPool(Protocol):
    """Starts workers; they go when the block ends."""

    def __call__(
        self,
        cluster: Cluster,
        requirements: WorkerRequirements,
        *,
        worker: type[Worker],
        health_check: HealthCheck,
    ) -> AbstractContextManager[WorkerPool]:
        """Return the pool, to be used in a `with` statement."""
        ...


@dataclass(frozen=True)
class PoolRunner:
    """Workers on a cluster, as a runner."""

    open_pool: OpenPool
    cluster: Cluster
    requirements: WorkerRequirements
    worker: type[Worker] = Worker
    health_check: HealthCheck = HEALTH_CHECK

    @property
    def where(self) -> str:
        """How many workers, with what."""
        gpus = f", {self.cluster.gpus:g} GPU each" if self.cluster.gpus else " on the CPU"
        return f"{self.cluster.workers} workers{gpus}"

    def run(
        self,
        sweep: Sweep,
        heartbeat: Heartbeat,
        train_prerequisites: TrainPrerequisites,
        on_outcome: OnOutcome | None = None,
    ) -> bool:
        """Run the sweep; see `run_with_pool`."""
        sweep.driver_config = replace(sweep.driver_config, device=self.cluster.device)
        with self.open_pool(
            self.cluster, self.requirements, worker=self.worker, health_check=self.health_check
        ) as pool:
            return run_with_pool(sweep, pool, heartbeat, train_prerequisites, on_outcome)
