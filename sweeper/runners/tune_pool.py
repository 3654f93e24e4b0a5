"""The runner `tune`: workers that Ray Tune starts, keeps and replaces; each segment a trial of its.

Tune decides where workers run and notices when they die. It is no system of record: what is
planned and what has come out is known to the state machine alone, and no run of Tune's is restored.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeper.core.errors import ClusterError
from sweeper.runners.dispatch import PoolRunner
from sweeper.runners.ray_cluster import PACKAGES, Cluster, fault_of_worker, open_cluster
from sweeper.runners.tune_mailbox import Mailbox, ReadyWorker, Updates, WorkerSetup
from sweeper.runners.tune_trials import OVER, TuneRun, fit
from sweeper.runners.worker_loss import HEALTH_CHECK, MAX_DEATHS, HealthCheck, Job, lost, reason_of
from sweeper.runners.worker_options import WorkerOptions, WorkerRequirements
from trainers.training.segment import Outcome, Segment
from trainers.training.worker import Worker, WorkerDescription

TRIALS = 1_000  # of one run of Tune's: its memory and its files grow with each
TRIALS_A_WORKER = 20  # at least: when a run ends, the workers wait for the last of them
CLOSE_S = 30.0
CALLS = 10_000  # that may wait in the mailbox

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _WorkerSlot:
    """The worker of a trial that waits for a segment or has one."""

    trial: str
    actor: Any
    job: Job | None = None
    fault: str | None = None  # why it was given up


class TuneWorkerPool:
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
        self._slots: dict[str, _WorkerSlot] = {}  # by trial
        self._removed: dict[str, str] = {}  # trials whose worker cannot be used, and why
        self._jobs = self._runs = self._deaths = 0
        self._last_death = ""
        self._polled = time.monotonic()
        self._name = f"sweeper-{uuid4().hex}"
        self._mailbox = _open_mailbox(self._name, cluster, requirements, worker, health_check)
        self._folder = Path(tempfile.mkdtemp(prefix="sweeper-tune-"))
        self._thread = ThreadPoolExecutor(1, "tune")
        self._run = self._begin_run()

    def __enter__(self) -> TuneWorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._mark.touch()
        self._mailbox.close.remote()
        for slot in self._slots.values():
            if slot.job is not None:
                ray.kill(slot.actor)
        wait([self._run], CLOSE_S)
        self._thread.shutdown(wait=False)
        ray.kill(self._mailbox)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def free(self) -> int:
        """How many workers could start at once."""
        return sum(slot.job is None for slot in self._slots.values())

    @property
    def starting(self) -> int:
        """How many workers are not there yet."""
        return max(0, self._cluster.workers - len(self._slots) - len(self._removed))

    @property
    def jobs(self) -> Sequence[Job]:
        """What is being trained."""
        return [slot.job for slot in self._slots.values() if slot.job is not None]

    def start(self, segment: Segment) -> Job:
        """Give a segment to a free worker; there must be one."""
        slot = next(slot for slot in self._slots.values() if slot.job is None)
        self._jobs += 1
        slot.job = Job(number=self._jobs, segment=segment, step=segment.start)
        self._mailbox.give.remote(slot.trial, slot.job.number, segment)
        return slot.job

    def poll(self, timeout_s: float) -> list[tuple[Job, Outcome]]:
        """Return the jobs that ended, after `timeout_s` or as soon as there is one.

        Raises ClusterError where no worker is left.
        """
        self._check()
        for job in self.jobs:  # the driver may have waited for its database
            job.extend_timeout(time.monotonic() - self._polled)
        has_ended = self._run.done()  # asked first: all that it brought is then in the mailbox
        updates = self._collect(timeout_s)
        ended = self._note(updates)
        if has_ended:
            ended += self._renew()
        for slot in self._slots.values():
            self._give_up_if_silent(slot)
        self._polled = time.monotonic()
        return ended

    def stop(self) -> None:
        """Ask every worker, also one that comes later, to end its job after the running step."""
        self._mailbox.stop.remote()

    @property
    def _mark(self) -> Path:
        return self._folder / str(self._runs) / OVER

    def _begin_run(self) -> Future[None]:
        """Have Tune run beside us, in a folder of its own."""
        self._runs += 1
        folder = self._folder / str(self._runs)
        folder.mkdir()
        workers = self._cluster.workers
        tuning = TuneRun(
            mailbox=self._name,
            folder=folder,
            workers=workers,
            trials=max(TRIALS, TRIALS_A_WORKER * workers),
            cpus=self._requirements.threads,
            gpus=self._cluster.gpus,
        )
        return self._thread.submit(fit, tuning)

    def _check(self) -> None:
        """Raise ClusterError where no worker can be had."""
        if len(self._removed) >= self._cluster.workers:
            raise ClusterError(f"no worker can be used: {next(iter(self._removed.values()))}")
        if self._deaths >= MAX_DEATHS * self._cluster.workers:
            raise ClusterError(f"no worker can be used: {self._last_death}")

    def _collect(self, timeout_s: float) -> Updates:
        try:
            updates: Updates = ray.get(self._mailbox.collect.remote(timeout_s))
        except RayError as error:
            raise ClusterError(f"Ray on this node has failed: {reason_of(error)}") from error
        return updates

    def _note(self, updates: Updates) -> list[tuple[Job, Outcome]]:
        """Note what has happened; return the jobs that ended."""
        for job in self.jobs:
            if job.number in updates.statuses:
                job.record_heartbeat(updates.statuses[job.number])
        ended = []
        for slot in list(self._slots.values()):
            if slot.job is not None and slot.job.number in updates.outcomes:
                del self._slots[slot.trial]
                self._deaths = 0
                ended.append((slot.job, updates.outcomes[slot.job.number]))
        for change in updates.changes:
            if isinstance(change, ReadyWorker):
                self._admit(change)
            else:
                ended += self._lose(change.trial, change.reason)
        return ended

    def _admit(self, offer: ReadyWorker) -> None:
        """Take a worker in; one that cannot be used is left waiting: Tune would start another."""
        fault = self._fault_of(offer.description)
        if fault is None:
            self._slots[offer.trial] = _WorkerSlot(trial=offer.trial, actor=offer.actor)
            return
        self._removed[offer.trial] = fault
        left = self._cluster.workers - len(self._removed)
        logger.warning("one worker less, %d are left: %s", left, fault)

    def _fault_of(self, description: WorkerDescription | str) -> str | None:
        if isinstance(description, str):
            return description
        return fault_of_worker(description, self._cluster, self._requirements)

    def _lose(self, trial: str, reason: str) -> list[tuple[Job, Outcome]]:
        """Give up a trial that Tune has given up; return its job, if it had one."""
        self._removed.pop(trial, None)
        slot = self._slots.pop(trial, None)
        reason = slot.fault if slot is not None and slot.fault is not None else reason
        self._deaths, self._last_death = self._deaths + 1, reason.partition("\n")[0]
        logger.warning("a worker is replaced: %s", self._last_death)
        if slot is None or slot.job is None:
            return []
        return [(slot.job, lost(slot.job, reason))]

    def _renew(self) -> list[tuple[Job, Outcome]]:
        """Begin another run of Tune's after one that has ended; return what that one lost."""
        error = self._run.exception()
        why = "Tune ended its trial"
        if error is not None:
            text = str(error).strip() or type(error).__name__
            why = f"Tune failed: {text.splitlines()[-1]}\n{text}"  # a traceback's last line first
        trials = list(self._slots) or ([""] if error else [])
        ended = [answer for trial in trials for answer in self._lose(trial, why)]
        self._removed.clear()
        shutil.rmtree(self._mark.parent, ignore_errors=True)
        self._run = self._begin_run()
        return ended

    def _give_up_if_silent(self, slot: _WorkerSlot) -> None:
        """End a worker that hangs; Tune then reports its trial as lost."""
        job = slot.job
        if job is not None and slot.fault is None and job.has_timed_out(self.health_check):
            slot.fault = f"no progress at step {job.step} for {time.monotonic() - job.alive:.0f} s"
            ray.kill(slot.actor)


@contextmanager
def tune_runner(
    worker_options: WorkerOptions, requirements: WorkerRequirements
) -> Iterator[PoolRunner]:
    """Yield the runner on a cluster that is open as long as the block runs; see `open_cluster`."""
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what it would say, we say
    with open_cluster(worker_options, requirements) as cluster:
        yield PoolRunner(TuneWorkerPool, cluster, requirements)


def _open_mailbox(
    name: str,
    cluster: Cluster,
    requirements: WorkerRequirements,
    worker: type[Worker],
    health_check: HealthCheck,
) -> Any:
    """Return Ray's handle of a new mailbox, on this node: it must live as long as the driver."""
    setup = WorkerSetup(
        worker=worker,
        data=requirements.data,
        root=requirements.root,
        packages=PACKAGES,
        marker=cluster.marker,
        folder=requirements.folder,
    )
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"name": name, "num_cpus": 0, "max_concurrency": CALLS, "scheduling_strategy": here}
    return ray.remote(Mailbox).options(**options).remote(setup, health_check.interval_s)
