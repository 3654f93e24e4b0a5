"""Which workers a launch asks for, and what they must find; known before Ray is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from sweeper.core.errors import ConfigError
from sweeper.postgres.url import masked
from trainers.tasks.schema import Data

Kind = Literal["inline", "ray", "tune"]


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """The workers that a launch asks for."""

    kind: Kind = "ray"  # who starts and keeps them
    workers: int = 1
    gpus_per_worker: float | None = None  # None: what there is, at most one each
    address: str | None = None  # of a running cluster; None: one on this machine, for this launch
    device: str | None = None  # cpu or cuda; None: a GPU if there is one


@dataclass(frozen=True, kw_only=True)
class WorkerRequirements:
    """What every worker must find where it runs, and what it needs there."""

    data: Data
    root: Path | None  # of the data
    fingerprint: str  # of the data
    checkpoints: Path
    threads: int  # processors
    folder: Path = field(default_factory=Path.cwd)  # that relative paths are meant from


def choose_workers(
    kind: Kind | None,
    worker_options: WorkerOptions,
    *,
    database: str | None,
    checkpoints: Path | None,
) -> WorkerOptions | None:
    """Return the workers on a cluster, None for `inline`; ConfigError for a contradiction.

    `database` and `checkpoints` are what the command line names, None where it names none.
    """
    many = worker_options.workers > 1 or worker_options.address is not None
    if kind == "inline" and many:
        raise ConfigError(
            "--runner inline trains in this process alone: leave --workers and --address out, "
            "or take --runner ray"
        )
    if kind in ("ray", "tune") or many:
        _check_address(worker_options.address, checkpoints)
        _check_device(worker_options)
        _check_database(database)
        return replace(worker_options, kind=kind or "ray")
    if worker_options.gpus_per_worker is not None:
        raise ConfigError(
            "--gpus-per-worker is for workers on Ray: add --runner ray or --workers N; "
            "one process alone takes --device"
        )
    return None


def _check_address(address: str | None, checkpoints: Path | None) -> None:
    if address is None:
        return
    if address.startswith("ray://"):
        raise ConfigError(
            f"--address {address} would carry the driver, and with it the way to the database, "
            "into the cluster: run this on a node of the cluster (or as a Ray job) with "
            "--address auto"
        )
    if checkpoints is None:
        raise ConfigError(
            "--address needs a --checkpoint-dir that every node of the cluster sees: a trial may "
            "go on elsewhere"
        )


def _check_device(worker_options: WorkerOptions) -> None:
    device, gpus = worker_options.device, worker_options.gpus_per_worker
    if device not in (None, "cpu", "cuda"):
        raise ConfigError(
            f"--device {device} names one GPU, but Ray gives each worker its own: say cuda or cpu"
        )
    if gpus is None:
        return
    if gpus > 1:
        raise ConfigError(
            f"--gpus-per-worker {gpus:g}: a worker trains on one GPU, so at most 1; take more "
            "--workers to use more GPUs"
        )
    if device is not None and (device == "cuda") != (gpus > 0):
        raise ConfigError(
            f"--device {device} contradicts --gpus-per-worker {gpus:g}: leave one out"
        )


def _check_database(url: str | None) -> None:
    if url is not None and "***" in masked(url):
        raise ConfigError(
            "--database holds a password, and Ray keeps a driver's command line where every "
            "worker can read it: give the URL by SWEEPER_DATABASE_URL or in sweeper.toml"
        )
