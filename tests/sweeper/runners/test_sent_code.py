"""Workers train with the driver's code, whatever lies in the folder where it was launched."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.core.errors import ClusterError
from sweeper.runners.dispatch import OpenPool
from sweeper.runners.ray_cluster import Cluster
from sweeper.runners.sent_code import sent_code
from sweeper.runners.worker_loss import HEALTH_CHECK
from sweeper.runners.worker_options import WorkerRequirements
from sweeper.store.database import Store
from tests.sweeper.driving import rows
from tests.sweeper.processes import TASK
from tests.sweeper.runners.clones import INSTALLED, clutter_in
from tests.sweeper.runners.conftest import POOLS
from tests.sweeper.runners.tiny import REQUEST, log_of
from trainers.contract.template import write_pair
from trainers.method_api.sources import VARIABLE
from trainers.training.imported_code import code_files
from trainers.training.worker import Worker

CODES = """SELECT DISTINCT code_hash FROM sweeper.segment
           UNION SELECT provenance ->> 'code_hash' FROM sweeper.launch"""
OWN = "SELECT planned, complete > 0, undecided FROM sweeper.progress WHERE method = 'mine'"


def test_all_code_and_no_other_file_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pair("mine", tmp_path)
    (tmp_path / "beside.py").touch()
    (tmp_path / "weights.pt").touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with sent_code() as environment:
        sent = Path(environment["working_dir"])
        files = {str(path.relative_to(sent)) for path in sent.rglob("*") if path.is_file()}
        own = sent / environment["env_vars"][VARIABLE]
        assert [path.name for path in code_files(own)] == ["beside.py", "mine.py", "mine.toml"]
        assert not list(own.glob("*.pt"))
    needed = {
        "trainers/tasks/shapes.toml",
        "search_spaces/shared.toml",
        "sweeper/runners/tune_trials.py",
    }
    assert needed <= files
    assert not sent.exists()


@pytest.mark.ray
@pytest.mark.parametrize("runner", ["ray", "tune"])
def test_other_code_in_the_current_folder_changes_nothing(
    store: Store, tmp_path: Path, expected: list[list[tuple[Any, ...]]], runner: str
) -> None:
    folder = clutter_in(tmp_path / "clutter")
    methods, own = [*REQUEST.methods], []
    if runner == "ray":  # one of the user's own as well, from a relative path
        code, _ = write_pair("mine", folder / "own")
        code.write_text(f"{code.read_text()}\nimport beside\n")
        (folder / "own" / "beside.py").touch()
        methods, own = [*methods, "mine"], ["--method-path", "own"]
    command = [str(INSTALLED), "launch", "--task", str(TASK), "--sweep", "s", *own]
    command += ["--budget", str(REQUEST.budget), "--workers", "2", "--runner", runner]
    command += ["--checkpoint-dir", "checkpoints", "--device", "cpu"]
    command += [part for method in methods for part in ("--method", method)]
    environment = os.environ | {"SWEEPER_DATABASE_URL": store.url}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    log = [[row for row in part if row[0] != "mine"] for part in log_of(store)]
    assert log == expected
    assert len(rows(store.engine, CODES)) == 1
    assert rows(store.engine, OWN) == [(8, True, 0)] * (runner == "ray")


@pytest.mark.ray
@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_with_other_code_is_refused_in_one_line(
    cluster: Cluster, requirements: WorkerRequirements, pool: str
) -> None:
    open_pool: OpenPool = POOLS[pool]
    here = cluster.here
    other = replace(
        here.code, parts=dict(here.code.parts) | {"trainers/training/optimizer.py": "other"}
    )
    place = replace(cluster, workers=1, here=replace(here, code=other))
    with (
        open_pool(place, requirements, worker=Worker, health_check=HEALTH_CHECK) as hired,
        pytest.raises(ClusterError) as refused,
    ):
        while not hired.free:
            hired.poll(0.5)
    said = str(refused.value)
    assert "\n" not in said
    assert f"{here.host}, {here.code.folder}): trainers/training/optimizer.py: trials" in said
    assert said.count("/trainers") > 1  # the other place as well
