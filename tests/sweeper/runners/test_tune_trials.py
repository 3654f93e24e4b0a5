"""Tune's own side: what a trial needs, how a run ends, why a trial was lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweeper.core.errors import ClusterError
from sweeper.runners.ray_cluster import Cluster
from sweeper.runners.tune_pool import TuneWorkerPool
from sweeper.runners.tune_trials import OneSegment
from sweeper.runners.worker_options import WorkerRequirements


@pytest.mark.ray
def test_where_tune_itself_fails_a_launch_ends_with_the_reason(
    cluster: Cluster, requirements: WorkerRequirements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_RESULT_DIR", "/anywhere")  # which Tune refuses
    with (
        TuneWorkerPool(replace(cluster, workers=1), requirements) as pool,
        pytest.raises(ClusterError, match="Tune failed: .*TUNE_RESULT_DIR"),
    ):
        while True:
            pool.poll(0.1)


def test_a_trial_asks_for_what_one_worker_needs() -> None:
    asked = OneSegment.default_resource_request({"cpus": 2, "gpus": 0.5})
    assert asked.bundles == [{"CPU": 2.0, "GPU": 0.5}]
