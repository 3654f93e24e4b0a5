"""The command line against stores with a synthetic sweep: one to look at, others to change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from sweeper.cli.main import main
from tests.sweeper.synthetic import fill

Run = Callable[..., Result]


def runner_on(url: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Run:
    """Return a caller of `sweeper` in a folder, on a database."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SWEEPER_DATABASE_URL", url)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(main, list(arguments))


@pytest.fixture
def look(demo_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a caller of `sweeper` on the store that nobody changes."""
    return runner_on(demo_url, monkeypatch, tmp_path)


@pytest.fixture
def run(store_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a caller of `sweeper` on a store of the test's own, empty without `demo`."""
    return runner_on(store_url, monkeypatch, tmp_path)


@pytest.fixture
def demo(engine: Engine, tmp_path: Path) -> Engine:
    """An engine on the test's own store, with the sweep `demo` in it."""
    fill(engine, folder=tmp_path / "checkpoints")
    return engine
