"""`sweeper db`: every command against a real server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sweeper.cli.db import command
from sweeper.core.errors import DatabaseError
from sweeper.postgres.embedded import Embedded
from sweeper.store.migrations import head

REMOTE = "postgresql://me:hunter2@host/x"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_stopped_server_is_shown_without_starting_it(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_HOME", str(open_folder / "never"))
    assert "starts at first need" in run("status")
    assert not (open_folder / "never").exists()


def test_the_embedded_server_starts_and_shows_itself(embedded: Embedded) -> None:
    assert run("start").strip() == embedded.url == run("url").strip()
    shown = run("status")
    assert "PostgreSQL 18" in shown and "MB" in shown and str(embedded.layout.folder) in shown


def test_a_new_database_is_made_ready(empty_url: str) -> None:
    assert "none -> " + head() in run("upgrade", "--database", empty_url)
    assert "ready" in run("init", "--database", empty_url)
    assert head() in run("status", "--database", empty_url)


def test_a_password_is_not_printed() -> None:
    assert run("url", "--database", REMOTE).strip() == "postgresql+psycopg2://me:***@host/x"


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_a_server_of_somebody_else_is_not_started_or_stopped(verb: str) -> None:
    with pytest.raises(DatabaseError, match="not sweeper's") as caught:
        run(verb, "--database", REMOTE)
    assert "hunter2" not in str(caught.value)


def test_a_database_is_dumped_and_brought_back(
    store_url: str, empty_url: str, tmp_path: Path
) -> None:
    file = str(tmp_path / "all.dump")
    assert "wrote" in run("dump", file, "--database", store_url)
    assert "restored" in run("restore", file, "--database", empty_url)


def test_the_terminal_passes_its_arguments_on(store_url: str) -> None:
    program = [sys.executable, "-m", "sweeper.cli.main", "db", "psql", "--database", store_url]
    sql = "SELECT count(*) FROM sweeper.sweep"
    done = subprocess.run([*program, "--", "-tAc", sql], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


@pytest.mark.parametrize("name", sorted(command.commands))
def test_every_command_has_an_example(name: str) -> None:
    context = click.Context(command.commands[name], info_name=name)
    assert f"sweeper db {name}" in command.commands[name].get_help(context)
