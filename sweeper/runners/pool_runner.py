"""A runner whose segments are trained by the workers of a cluster, whoever keeps them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from sweeper.runners.dispatch import Crew, run_with_crew
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.jobs import HABITS, Habits
from sweeper.runners.ray_cluster import Cluster
from sweeper.runners.runner import Announce, MakeReady
from sweeper.runners.worker_options import Premises
from sweeper.scheduler.state_machine import Sweep
from trainers.training.worker import Worker


class Hire(Protocol):
    """Starts workers; they go when the block ends."""

    def __call__(
        self, cluster: Cluster, premises: Premises, *, worker: type[Worker], habits: Habits
    ) -> AbstractContextManager[Crew]:
        """Return the crew, to be used in a `with` statement."""
        ...


@dataclass(frozen=True)
class CrewRunner:
    """Workers on a cluster, as a runner."""

    hire: Hire
    cluster: Cluster
    premises: Premises
    worker: type[Worker] = Worker
    habits: Habits = HABITS

    @property
    def where(self) -> str:
        """How many workers, with what."""
        gpus = f", {self.cluster.gpus:g} GPU each" if self.cluster.gpus else " on the CPU"
        return f"{self.cluster.workers} workers{gpus}"

    def run(
        self,
        sweep: Sweep,
        heartbeat: Heartbeat,
        make_ready: MakeReady,
        announce: Announce | None = None,
    ) -> bool:
        """Run the sweep; see `run_with_crew`."""
        sweep.workplace = replace(sweep.workplace, device=self.cluster.device)
        with self.hire(self.cluster, self.premises, worker=self.worker, habits=self.habits) as crew:
            return run_with_crew(sweep, crew, heartbeat, make_ready, announce)
