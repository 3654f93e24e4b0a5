"""One Ray cluster for the session, the runners on it, and what each must arrive at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from sweeper.core.config import quieten_ray
from sweeper.postgres.embedded import Embedded
from sweeper.runners.inline import InlineRunner
from sweeper.runners.runner import Runner
from sweeper.runners.worker_options import WorkerOptions, WorkerRequirements
from sweeper.store.database import open_store
from tests.servers import new_database
from tests.sweeper.runners import workers as slow_workers
from tests.sweeper.runners.tiny import FINGERPRINT, TASK, log_of, open_tiny, run_tiny
from tests.sweeper.runners.workers import SlowTrainer, SlowWorker
from trainers.training.cohort import Trainer

quieten_ray()

import ray  # noqa: E402 - it reads what was set

from sweeper.runners.dispatch import OpenPool, PoolRunner  # noqa: E402
from sweeper.runners.ray_cluster import Cluster, open_cluster  # noqa: E402
from sweeper.runners.ray_pool import RayWorkerPool  # noqa: E402
from sweeper.runners.tune_pool import TuneWorkerPool  # noqa: E402
from sweeper.runners.worker_loss import HealthCheck  # noqa: E402

SECRETS = {"SWEEPER_DATABASE_URL": "postgresql://u:secret@h/d", "PGPASSWORD": "secret"}
ATTENTIVE = HealthCheck(interval_s=0.1, timeout_s=2.0)
POOLS: dict[str, OpenPool] = {"ray": RayWorkerPool, "tune": TuneWorkerPool}
ON_RAY = [pytest.param(f"{name} with 2 workers", marks=pytest.mark.ray) for name in POOLS]
ALL = ["inline", *ON_RAY]
ONE_WORKER = pytest.param("ray with 1 worker", marks=pytest.mark.ray)
RunnerOf = Callable[[bool], Runner]  # of slow trainers or of normal ones

# Ray 2.60 leaves the log files and the processes of a cluster to the garbage collector.
RAY_LEAVES_OPEN = (
    "ignore:unclosed file:ResourceWarning",
    "ignore:subprocess .* is still running:ResourceWarning",
    "ignore:Exception ignored in. <_io:pytest.PytestUnraisableExceptionWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("ray"):
            for warning in RAY_LEAVES_OPEN:
                item.add_marker(pytest.mark.filterwarnings(warning))


ray.cloudpickle.register_pickle_by_value(slow_workers)  # workers have no tests


@pytest.fixture(scope="session")
def requirements(tmp_path_factory: pytest.TempPathFactory) -> WorkerRequirements:
    return WorkerRequirements(
        data=TASK.data,
        root=None,
        fingerprint=FINGERPRINT,
        checkpoints=tmp_path_factory.mktemp("checkpoints"),
        threads=TASK.threads,
    )


@pytest.fixture(scope="session")
def cluster(requirements: WorkerRequirements) -> Iterator[Cluster]:
    """A cluster with room for two workers, started by a process that knows a password."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        opened = open_cluster(WorkerOptions(workers=2, device="cpu"), requirements)
        started = opened.__enter__()
    yield started
    opened.__exit__(None, None, None)


@pytest.fixture(params=ALL)
def runner_of(request: pytest.FixtureRequest, requirements: WorkerRequirements) -> RunnerOf:
    """All runners in turn, or those that a test names."""
    if request.param == "inline":
        return lambda slow: InlineRunner(SlowTrainer() if slow else Trainer(), "cpu")
    cluster = request.getfixturevalue("cluster")
    pool, _, workers, _ = request.param.split()
    place = replace(cluster, workers=int(workers))
    return lambda slow: runner_on(place, requirements, POOLS[pool], slow)


def runner_on(
    cluster: Cluster, requirements: WorkerRequirements, pool: OpenPool, slow: bool
) -> Runner:
    if slow:
        return PoolRunner(pool, cluster, requirements, worker=SlowWorker, health_check=ATTENTIVE)
    return PoolRunner(pool, cluster, requirements)


@pytest.fixture(scope="session")
def expected(
    embedded: Embedded, template: str, tmp_path_factory: pytest.TempPathFactory
) -> list[list[tuple[Any, ...]]]:
    """What the log says after an undisturbed run in this process."""
    with new_database(embedded, f"TEMPLATE {template}") as url:
        store = open_store(url, "test")
        sweep = open_tiny(store, tmp_path_factory.mktemp("expected"))
        assert run_tiny(sweep, InlineRunner(Trainer(), "cpu"))
        found = log_of(store)
        store.close()
    return found
