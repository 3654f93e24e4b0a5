"""What is Tune's own: its runs, its files, and what it is given to send."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.core.errors import ClusterError
from sweeper.runners import tune_pool
from sweeper.runners.dispatch import OpenPool
from sweeper.runners.ray_cluster import Cluster
from sweeper.runners.tune_mailbox import LostTrial, ReadyWorker, Updates
from sweeper.runners.tune_pool import TuneWorkerPool
from sweeper.runners.worker_loss import HEALTH_CHECK
from sweeper.runners.worker_options import WorkerRequirements
from tests.sweeper.runners.conftest import POOLS, SECRETS
from tests.sweeper.runners.tiny import TASK
from tests.sweeper.runners.workers import IdleWorker
from trainers.training.segment import Member, Segment
from trainers.training.worker import Worker

SEGMENTS = 5


def segment_in(folder: Path) -> Segment:
    member = Member(key="a", method="baseline", params={})
    return Segment(
        task=TASK, seed=0, start=0, stop=1, evaluate=False, members=(member,), folder=folder
    )


@pytest.mark.ray
def test_a_run_of_tune_that_is_used_up_is_followed_by_another_and_leaves_nothing_behind(
    cluster: Cluster,
    requirements: WorkerRequirements,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tune_pool, "TRIALS", 3)
    monkeypatch.setattr(tune_pool, "TRIALS_A_WORKER", 1)
    ended: list[int] = []
    with TuneWorkerPool(replace(cluster, workers=1), requirements, worker=IdleWorker) as pool:
        while len(ended) < SEGMENTS:
            if pool.free:
                pool.start(segment_in(tmp_path))
            ended += [job.number for job, _ in pool.poll(0.5)]
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {path.relative_to(tmp_path).parts[1] for path in files} == {"2"}
        assert not [path for path in files if b"secret" in path.read_bytes()]
    assert ended == list(range(1, SEGMENTS + 1))
    assert not list(tmp_path.iterdir())


@pytest.mark.ray
@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_that_finds_other_data_is_not_used(
    cluster: Cluster, requirements: WorkerRequirements, pool: str
) -> None:
    open_pool: OpenPool = POOLS[pool]
    other = replace(requirements, fingerprint="other")
    with (
        open_pool(
            replace(cluster, workers=1), other, worker=Worker, health_check=HEALTH_CHECK
        ) as hired,
        pytest.raises(ClusterError, match="the data on node"),
    ):
        while True:
            hired.poll(0.5)


@pytest.mark.ray
def test_a_trial_that_is_lost_before_its_offer_was_read_is_not_counted_on(
    cluster: Cluster, requirements: WorkerRequirements
) -> None:
    with TuneWorkerPool(replace(cluster, workers=1), requirements, worker=IdleWorker) as pool:
        offer = ReadyWorker(trial="gone", actor=None, description="there are no data")
        pool._note(Updates(changes=[offer, LostTrial(trial="gone", reason="its node died")]))
        while not pool.free:  # ClusterError where the only worker were one that cannot be used
            pool.poll(0.1)
        assert pool.free
