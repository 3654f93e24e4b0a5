"""A Ray cluster for one launch: started here, or joined and looked over before it is used."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeper.core.config import without_database
from sweeper.core.errors import ClusterError
from sweeper.runners.sent_code import sent_code
from sweeper.runners.worker_options import WorkerOptions, WorkerRequirements
from trainers.training.environment import Environment, differences, environment
from trainers.training.imported_code import code_differences
from trainers.training.worker import WorkerDescription

PACKAGES = ("torch", "torchvision", "ray")  # that decide on values, or on whether nodes can talk
CONNECT_S = 5.0
ANSWER_S = 20.0
NODE_S = 120.0  # for the first process on a node: it may have to fetch our packages
OBJECTS_BYTES = 100_000_000  # only segments and outcomes travel
PARTS = 10_000  # of a GPU: Ray's resolution


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster that can do what was asked of it."""

    workers: int
    gpus: float  # of a worker
    here: Environment
    marker: Path | None  # a file that every worker must see

    @property
    def device(self) -> str:
        """The device of every worker."""
        return "cuda" if self.gpus else "cpu"


@contextmanager
def open_cluster(
    worker_options: WorkerOptions, requirements: WorkerRequirements
) -> Iterator[Cluster]:
    """Start or join a cluster for as long as the block runs.

    Raises ClusterError where it cannot be reached, its nodes have other versions or do not see
    the checkpoints' folder, or there is no room for the workers.
    """
    with without_database(), _own_signals():
        _connect(worker_options, requirements.threads)
    marker = requirements.checkpoints / f".seen-{uuid4().hex}" if worker_options.address else None
    try:
        if marker is not None:
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
        nodes = [node for node in _nodes() if node["Alive"]]
        cluster = Cluster(
            workers=worker_options.workers,
            gpus=_gpus(worker_options, nodes),
            here=environment(PACKAGES, marker),
            marker=marker,
        )
        _check_room(worker_options, cluster, requirements.threads, nodes)
        if worker_options.address is not None:
            _check_nodes(cluster, nodes)
        yield cluster
    finally:
        if marker is not None:
            marker.unlink(missing_ok=True)
        ray.shutdown()


def fault_of(there: Environment, cluster: Cluster) -> str | None:
    """Return why a place cannot be used as a part of the cluster."""
    differs = differences(there, cluster.here)
    if differs:
        return (
            f"node {there.host} has {', '.join(differs)}: trials would not be comparable; install "
            "the same versions everywhere"
        )
    other = code_differences(there.code, cluster.here.code)
    if other:
        return (
            f"a worker on node {there.host} has imported {there.code.folder}, which is not the "
            f"code here ({cluster.here.host}, {cluster.here.code.folder}): {other}: trials would "
            "not be comparable; if it stays so after a relaunch, see what changes sys.path there"
        )
    if not there.sees_marker and cluster.marker is not None:
        return (
            f"node {there.host} does not see {cluster.marker.parent}: --checkpoint-dir must be one "
            "folder that every node sees under the same path"
        )
    return None


def fault_of_worker(
    description: WorkerDescription, cluster: Cluster, requirements: WorkerRequirements
) -> str | None:
    """Return why a worker cannot be used: its place, or the data it finds there."""
    there = description.environment
    fault = fault_of(there, cluster)
    if fault is None and description.fingerprint != requirements.fingerprint:
        return f"the data on node {there.host} are not those of this launch"
    return fault


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our way to stop: Ray would have SIGTERM end the process at once."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _connect(worker_options: WorkerOptions, threads: int) -> None:
    setting = _setting(worker_options, threads)
    try:
        with sent_code() as environment:
            ray.init(
                **setting,
                runtime_env=environment,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        ray.shutdown()  # what was started before it failed
        place = (
            f"--address {worker_options.address}"
            if worker_options.address
            else "Ray could not be started here"
        )
        raise ClusterError(f"{place}: {' '.join(str(error).split())}") from error


def _setting(worker_options: WorkerOptions, threads: int) -> dict[str, Any]:
    """Return what `ray.init` is told: how large a cluster to start, or which one to join."""
    if worker_options.address is None:
        return {
            "address": "local",
            "num_cpus": worker_options.workers * threads,
            "include_dashboard": False,
            "object_store_memory": OBJECTS_BYTES,
        }
    _knock(worker_options.address)
    return {"address": worker_options.address}


def _knock(address: str) -> None:
    """Raise ClusterError unless a Ray cluster answers soon: `ray.init` itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if address != "auto":
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"--address {address} does not answer ({error}); its form is HOST:PORT of the "
                "cluster's head (6379 unless it was started otherwise), or auto on a node of it"
            ) from error
    # -P: a ray.py in the current folder is not Ray.
    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "health-check"]
    command += ["--skip-version-check"]
    command += [] if address == "auto" else ["--address", address]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=ANSWER_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise ClusterError(
            f"--address {address}: no Ray cluster answers there; start one with `ray start --head`"
        ) from error


def _nodes() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return nodes


def _gpus(worker_options: WorkerOptions, nodes: list[dict[str, Any]]) -> float:
    """Return how many GPUs a worker gets: what is asked for, else an equal share, at most 1."""
    if worker_options.gpus_per_worker is not None:
        return worker_options.gpus_per_worker
    total = sum(node["Resources"].get("GPU", 0.0) for node in nodes)
    if worker_options.device == "cuda" and not total:
        raise ClusterError("--device cuda: no node of the cluster has a GPU")
    if worker_options.device == "cpu":
        return 0.0
    return min(1.0, int(total * PARTS / worker_options.workers) / PARTS)


def _check_room(
    worker_options: WorkerOptions, cluster: Cluster, threads: int, nodes: list[dict[str, Any]]
) -> None:
    gpus = [node["Resources"].get("GPU", 0.0) for node in nodes]
    if cluster.gpus > max(gpus):
        raise ClusterError(
            f"--gpus-per-worker {cluster.gpus:g}: no node has more than {max(gpus):g} GPUs"
        )
    room = sum(int(count / cluster.gpus + 1 / PARTS) for count in gpus) if cluster.gpus else None
    if worker_options.address is None and room is not None and room < cluster.workers:
        raise ClusterError(
            f"--workers {cluster.workers} with {cluster.gpus:g} GPUs each: this machine has room "
            f"for {room}"
        )
    cpus = max(node["Resources"].get("CPU", 0.0) for node in nodes)
    if threads > cpus:
        raise ClusterError(
            f"the task trains with {threads} threads, no node has more than {cpus:g} CPUs"
        )


def _check_nodes(cluster: Cluster, nodes: list[dict[str, Any]]) -> None:
    """Have every node say what it has and sees; ClusterError where one does not fit."""
    ask: Any = ray.remote(environment)
    answers = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        task = ask.options(num_cpus=0, max_retries=1, scheduling_strategy=there)
        answers[task.remote(PACKAGES, cluster.marker)] = node["NodeManagerHostname"]
    ready, silent = ray.wait(list(answers), num_returns=len(answers), timeout=NODE_S)
    if silent:
        names = ", ".join(answers[answer] for answer in silent)
        raise ClusterError(f"no process could be started within {NODE_S:.0f} s on node {names}")
    for answer in ready:
        try:
            fault = fault_of(ray.get(answer), cluster)
        except ray.exceptions.RayError as error:
            fault = f"node {answers[answer]} cannot be used: {' '.join(str(error).split())}"
        if fault:
            raise ClusterError(fault)
