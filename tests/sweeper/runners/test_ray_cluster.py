"""Clusters that are not there, or not as they must be; and a launch on one that is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.core.errors import ClusterError
from sweeper.runners import ray_cluster
from sweeper.runners.ray_cluster import Cluster, fault_of, open_cluster
from sweeper.runners.worker_options import WorkerOptions, WorkerRequirements
from sweeper.store.database import Store
from tests.servers import free_port
from tests.sweeper.driving import LEDGER, rows
from tests.sweeper.processes import wait_until
from tests.sweeper.runners.clones import INSTALLED, clone_in, clutter_in
from tests.sweeper.runners.tiny import REQUEST, assert_complete, log_of
from trainers.training.environment import environment

INTERRUPTED = 130
HERE = environment(ray_cluster.PACKAGES)
KEEPER = """
import json, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args=json.loads(sys.argv[1]))
print(cluster.address, flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if asked is None:
        for node in list(cluster.worker_nodes):
            cluster.remove_node(node, allow_graceful=False)
    elif asked == "wait":
        cluster.wait_for_nodes()
    else:
        cluster.add_node(**asked)
    print("done", flush=True)
cluster.shutdown()
"""
NODE = {"num_cpus": 1, "num_gpus": 0, "include_dashboard": False}


class Keeper:
    """A process that keeps a cluster of several raylets on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", KEEPER, json.dumps(NODE | {"num_cpus": 0})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=folder,
        )
        self.address = self._answer()

    def add(self, **changes: Any) -> None:
        """Add a node like the others, but for `changes`."""
        self._ask(NODE | changes)

    def kill_workers(self) -> None:
        """End every node but the head, without a warning."""
        self._ask(None)

    def wait(self) -> None:
        """Wait until the cluster knows of all that was added and killed."""
        self._ask("wait")

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def _ask(self, asked: dict[str, Any] | str | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        assert self._answer() == "done"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    """Two nodes with a processor each, under a head with none."""
    kept = Keeper(tmp_path_factory.mktemp("cluster"))
    kept.add()
    kept.add()
    yield kept
    kept.close()


def launch(
    store: Store,
    keeper: Keeper,
    *more: str,
    methods: Sequence[str] = REQUEST.methods,
    budget: int = REQUEST.budget,
    folder: Path | None = None,
) -> subprocess.Popen[str]:
    task = Path(__file__).parents[1] / "tasks" / "tiny.toml"
    command = [str(INSTALLED), "launch", "--task", str(task)]
    command += ["--sweep", "s", "--budget", str(budget), "--workers", "2"]
    command += [part for method in methods for part in ("--method", method)]
    command += ["--address", keeper.address, "--checkpoint-dir", str(keeper.folder / "checkpoints")]
    environment = os.environ | {"SWEEPER_DATABASE_URL": store.url}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, *more], stdout=pipe, stderr=pipe, text=True, env=environment, cwd=folder
    )


def wait_for_a_rung(store: Store, process: subprocess.Popen[str]) -> None:
    wait_until(lambda: bool(rows(store.engine, "SELECT number FROM sweeper.rung")), process)


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    output, errors = process.communicate(timeout=300)
    assert (process.returncode, output) == (code, ""), errors
    return errors


def assert_one_line(process: subprocess.Popen[str], said: str) -> None:
    errors = finish(process, code=2)
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert said in errors


@pytest.mark.ray
def test_a_launch_on_two_nodes_is_stopped_by_a_signal_and_gives_the_same_results(
    store: Store, keeper: Keeper, expected: list[list[tuple[Any, ...]]]
) -> None:
    process = launch(store, keeper)
    wait_for_a_rung(store, process)
    process.send_signal(signal.SIGTERM)
    assert "the same command goes on" in finish(process, INTERRUPTED)
    finish(launch(store, keeper))
    assert_complete(store, expected)
    assert {row[3] for row in rows(store.engine, LEDGER)} == {0}
    assert not list((keeper.folder / "checkpoints").glob(".seen-*"))


@pytest.mark.ray
def test_a_second_launch_adds_a_method_to_the_running_driver(
    store: Store, keeper: Keeper, expected: list[list[tuple[Any, ...]]]
) -> None:
    driver = launch(store, keeper, methods=("baseline",), budget=48)
    wait_for_a_rung(store, driver)
    second = launch(store, keeper, methods=("kd",))
    assert "and will run this as well; watching" in finish(second)
    assert "another launch adds trials, up to kd 8" in finish(driver)
    assert rows(store.engine, "SELECT epoch FROM sweeper.lease") == [(1,)]
    for part, whole in zip(log_of(store), expected, strict=True):
        assert [row for row in part if row[0] == "kd"] == [row for row in whole if row[0] == "kd"]


@pytest.mark.ray
@pytest.mark.parametrize("runner", ["ray", "tune"])
def test_nodes_that_die_lose_nothing_and_one_that_is_added_gets_the_work(
    store: Store, keeper: Keeper, expected: list[list[tuple[Any, ...]]], runner: str
) -> None:
    process = launch(store, keeper, "--runner", runner)
    wait_for_a_rung(store, process)
    keeper.kill_workers()
    keeper.add()
    finish(process)
    assert_complete(store, expected)


@pytest.mark.ray
def test_more_gpus_than_any_node_has_are_refused(store: Store, keeper: Keeper) -> None:
    assert_one_line(launch(store, keeper, "--gpus-per-worker", "1"), "no node has more than 0 GPUs")


@pytest.mark.ray
def test_a_node_with_other_versions_is_refused(store: Store, keeper: Keeper) -> None:
    other = keeper.folder / "other" / "torch-0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 0.1\n")
    keeper.add(env_vars={"PYTHONPATH": str(other.parent)})
    assert_one_line(launch(store, keeper), f"torch 0.1 instead of {HERE.versions['torch']}")


@pytest.mark.ray
def test_neither_the_current_folder_nor_a_nodes_search_path_changes_a_value(
    store: Store, keeper: Keeper, expected: list[list[tuple[Any, ...]]], tmp_path: Path
) -> None:
    keeper.kill_workers()
    keeper.add(env_vars={"PYTHONPATH": str(clone_in(tmp_path / "older"))})
    keeper.wait()
    finish(launch(store, keeper, "--workers", "1", folder=clutter_in(tmp_path / "clutter")))
    assert_complete(store, expected)
    hashes = "SELECT DISTINCT code_hash FROM sweeper.segment"
    assert rows(store.engine, hashes) == [(HERE.code.hash,)]


@pytest.mark.ray
def test_a_node_that_imports_other_code_all_the_same_is_refused(
    store: Store, keeper: Keeper, tmp_path: Path
) -> None:
    other = clone_in(tmp_path / "other")
    (other / "sitecustomize.py").write_text(f"import sys\nsys.path.insert(0, {str(other)!r})\n")
    keeper.kill_workers()
    keeper.add(env_vars={"PYTHONPATH": str(other)})
    keeper.wait()
    said = f"has imported {other}/trainers, which is not the code here ({HERE.host}, "
    said += f"{HERE.code.folder}): trainers/training/optimizer.py: trials"
    assert_one_line(launch(store, keeper, "--workers", "1"), said)


def nobody() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.mark.parametrize(
    ("address", "said"),
    [(nobody, "does not answer"), (lambda: "head", "HOST:PORT")],
    ids=["nobody", "no port"],
)
def test_an_address_without_a_cluster_is_refused(
    requirements: WorkerRequirements, address: Callable[[], str], said: str
) -> None:
    with (
        pytest.raises(ClusterError, match=said),
        open_cluster(WorkerOptions(address=address()), requirements),
    ):
        pass


def test_an_address_where_something_else_listens_is_refused_soon(
    requirements: WorkerRequirements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "ANSWER_S", 3.0)
    began = time.monotonic()
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        worker_options = WorkerOptions(address=f"127.0.0.1:{server.getsockname()[1]}")
        with (
            pytest.raises(ClusterError, match="no Ray cluster"),
            open_cluster(worker_options, requirements),
        ):
            pass
    assert time.monotonic() - began < 20


def test_a_node_that_does_not_see_the_checkpoints_is_named() -> None:
    marker = Path("/checkpoints/.seen")
    cluster = Cluster(workers=1, gpus=0.0, here=HERE, marker=marker)
    assert fault_of(HERE, cluster) is None
    said = fault_of(replace(HERE, host="n7", sees_marker=False), cluster)
    assert said is not None
    assert said.startswith("node n7 does not see /checkpoints:")
