"""What a launch may ask of its workers, and what is refused before anything is stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.core.errors import ConfigError
from sweeper.runners.worker_options import Kind, WorkerOptions, choose_workers

ONE, TWO, CLUSTER = WorkerOptions(), WorkerOptions(workers=2), WorkerOptions(address="auto")
FOLDER = Path("/shared")
URL = "postgresql://me:{}@h/d"


def choose(
    kind: Kind | None, worker_options: WorkerOptions, url: str | None = None
) -> WorkerOptions | None:
    return choose_workers(kind, worker_options, database=url, checkpoints=FOLDER)


@pytest.mark.parametrize(
    ("kind", "worker_options", "on_ray"),
    [
        (None, ONE, False),
        ("inline", ONE, False),
        ("ray", ONE, True),
        (None, TWO, True),
        (None, CLUSTER, True),
        ("ray", CLUSTER, True),
        (None, replace(TWO, gpus_per_worker=0.5), True),
    ],
)
def test_one_process_trains_alone_unless_more_is_asked_for(
    kind: Kind | None, worker_options: WorkerOptions, on_ray: bool
) -> None:
    assert choose(kind, worker_options) == (worker_options if on_ray else None)


@pytest.mark.parametrize("worker_options", [ONE, TWO, CLUSTER])
def test_tune_keeps_the_workers_where_it_is_asked_for(worker_options: WorkerOptions) -> None:
    assert choose("tune", worker_options) == replace(worker_options, kind="tune")


@pytest.mark.parametrize(
    ("kind", "worker_options", "said"),
    [
        ("inline", TWO, "leave --workers and --address out"),
        ("inline", CLUSTER, "leave --workers and --address out"),
        (None, replace(ONE, gpus_per_worker=1.0), "--device"),
        (None, WorkerOptions(address="ray://head:10001"), "the way to the database"),
        (None, replace(TWO, gpus_per_worker=2.0), "at most 1"),
        (None, replace(TWO, gpus_per_worker=0.5, device="cpu"), "contradicts"),
        (None, replace(TWO, gpus_per_worker=0.0, device="cuda"), "contradicts"),
        (None, replace(TWO, device="cuda:1"), "say cuda or cpu"),
    ],
)
def test_contradictions_are_refused(
    kind: Kind | None, worker_options: WorkerOptions, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        choose(kind, worker_options)


def test_a_cluster_needs_a_folder_that_all_nodes_see() -> None:
    with pytest.raises(ConfigError, match="--checkpoint-dir"):
        choose_workers(None, CLUSTER, database=None, checkpoints=None)


def test_a_password_on_the_command_line_is_refused_since_ray_would_keep_it() -> None:
    assert choose("ray", ONE, "postgresql://me@h/d") == ONE
    for kind in ("ray", "tune"):
        with pytest.raises(ConfigError, match="SWEEPER_DATABASE_URL") as refused:
            choose(kind, ONE, URL.format("secret"))
    assert "secret" not in str(refused.value)
