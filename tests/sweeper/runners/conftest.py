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
from sweeper.runners.worker_options import Premises, Staff
from sweeper.store.database import open_store
from tests.servers import new_database
from tests.sweeper.runners import workers as slow_workers
from tests.sweeper.runners.tiny import FINGERPRINT, TASK, log_of, open_tiny, run_tiny
from tests.sweeper.runners.workers import SlowTrainer, SlowWorker
from trainers.training.cohort import Trainer

quieten_ray()

import ray  # noqa: E402 - it reads what was set

from sweeper.runners.dispatch import CrewRunner, Hire  # noqa: E402
from sweeper.runners.jobs import Habits  # noqa: E402
from sweeper.runners.ray_cluster import Cluster, open_cluster  # noqa: E402
from sweeper.runners.ray_pool import RayCrew  # noqa: E402
from sweeper.runners.tune_pool import TuneCrew  # noqa: E402

SECRETS = {"SWEEPER_DATABASE_URL": "postgresql://u:secret@h/d", "PGPASSWORD": "secret"}
ATTENTIVE = Habits(listen_s=0.1, silence_s=2.0)
CREWS: dict[str, Hire] = {"ray": RayCrew, "tune": TuneCrew}
ON_RAY = [pytest.param(f"{name} with 2 workers", marks=pytest.mark.ray) for name in CREWS]
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
def premises(tmp_path_factory: pytest.TempPathFactory) -> Premises:
    return Premises(
        data=TASK.data,
        root=None,
        fingerprint=FINGERPRINT,
        checkpoints=tmp_path_factory.mktemp("checkpoints"),
        threads=TASK.threads,
    )


@pytest.fixture(scope="session")
def cluster(premises: Premises) -> Iterator[Cluster]:
    """A cluster with room for two workers, started by a process that knows a password."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        opened = open_cluster(Staff(workers=2, device="cpu"), premises)
        started = opened.__enter__()
    yield started
    opened.__exit__(None, None, None)


@pytest.fixture(params=ALL)
def runner_of(request: pytest.FixtureRequest, premises: Premises) -> RunnerOf:
    """All runners in turn, or those that a test names."""
    if request.param == "inline":
        return lambda slow: InlineRunner(SlowTrainer() if slow else Trainer(), "cpu")
    cluster = request.getfixturevalue("cluster")
    crew, _, workers, _ = request.param.split()
    place = replace(cluster, workers=int(workers))
    return lambda slow: runner_on(place, premises, CREWS[crew], slow)


def runner_on(cluster: Cluster, premises: Premises, crew: Hire, slow: bool) -> Runner:
    if slow:
        return CrewRunner(crew, cluster, premises, worker=SlowWorker, habits=ATTENTIVE)
    return CrewRunner(crew, cluster, premises)


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
