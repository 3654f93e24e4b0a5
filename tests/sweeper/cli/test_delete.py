"""`sweeper delete` takes a sweep away whole, or one method, and never under a driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import Engine, text

from sweeper.scheduler.lease import Lease, acquire
from sweeper.store.database import Store
from tests.sweeper.cli.conftest import Run
from tests.sweeper.synthetic import METHODS


@pytest.fixture
def projected(store: Store, demo: Engine) -> Store:
    """The store of the command line, with the studies of `demo` in Optuna's tables as well."""
    for method in METHODS:
        optuna.create_study(study_name=f"demo/{method}", storage=store.storage)
    return store


@pytest.fixture
def files(demo: Engine, tmp_path: Path) -> list[Path]:
    """Two checkpoints that trials of `demo` name, of kd and of rdd."""
    folder = tmp_path / "checkpoints" / "demo" / "segment"
    folder.mkdir(parents=True)
    for name in ("kd-6", "rdd-6"):
        (folder / f"{name}.pt").write_bytes(b"x" * 1500)
    return [folder / "kd-6.pt", folder / "rdd-6.pt"]


@pytest.fixture
def logs(demo: Engine, tmp_path: Path) -> list[Path]:
    """The logs of `demo` and of one of its segments."""
    folder = tmp_path / "checkpoints" / "demo" / "logs"
    folder.mkdir(parents=True)
    files = [folder / "sweep.jsonl", folder / "segment-1.jsonl"]
    for file in files:
        file.touch()
    return files


def count(engine: Engine, table: str) -> Any:
    with engine.connect() as connection:
        return connection.scalar(text(f"SELECT count(*) FROM sweeper.{table}"))


def test_a_whole_sweep_goes_with_studies_and_files(
    run: Run, projected: Store, files: list[Path], logs: list[Path], tmp_path: Path
) -> None:
    result = run("delete", "demo", "--yes")
    assert result.exit_code == 0
    assert "demo/baseline, demo/kd, demo/rdd" in result.output
    assert "2 files, 3.0 kB" in result.output
    assert "logs: 2 files" in result.output
    assert [count(projected.engine, table) for table in ("sweep", "trial", "event")] == [0, 0, 0]
    assert optuna.get_all_study_names(projected.storage) == []
    assert not (tmp_path / "checkpoints" / "demo").exists()


def test_one_method_goes_and_the_others_stay(
    run: Run, projected: Store, files: list[Path], logs: list[Path]
) -> None:
    assert run("delete", "demo", "--method", "kd", "--yes").exit_code == 0
    assert sorted(optuna.get_all_study_names(projected.storage)) == ["demo/baseline", "demo/rdd"]
    assert [file.exists() for file in files] == [False, True]
    assert all(file.exists() for file in logs)
    assert count(projected.engine, "trial") == 32
    assert count(projected.engine, "segment") == 8
    assert run("status").exit_code == 0


def test_nothing_goes_while_a_driver_is_alive(run: Run, demo: Engine) -> None:
    assert isinstance(acquire(demo, 1), Lease)
    result = run("delete", "demo", "--yes")
    assert result.exit_code == 2
    assert "drives sweep demo" in result.stderr
    assert count(demo, "sweep") == 1


def test_without_a_terminal_yes_is_needed(run: Run, demo: Engine) -> None:
    result = run("delete", "demo")
    assert (result.exit_code, count(demo, "sweep")) == (2, 1)
    assert "--yes" in result.stderr


def test_an_unknown_method_gets_the_nearest_name(look: Run) -> None:
    assert "did you mean 'kd'?" in look("delete", "demo", "--method", "kdd", "--yes").stderr
