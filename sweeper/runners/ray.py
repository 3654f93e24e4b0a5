"""The runner `ray`: segments on long-lived workers of a Ray cluster, several at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sweeper.runners.pool_runner import CrewRunner
from sweeper.runners.ray_cluster import open_cluster
from sweeper.runners.ray_pool import RayCrew
from sweeper.runners.worker_options import Premises, Staff


@contextmanager
def ray_runner(staff: Staff, premises: Premises) -> Iterator[CrewRunner]:
    """Yield the runner on a cluster that is open as long as the block runs; see `open_cluster`."""
    with open_cluster(staff, premises) as cluster:
        yield CrewRunner(RayCrew, cluster, premises)
