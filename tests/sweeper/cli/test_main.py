"""The command line as a process: quick, one line for a fault, the right exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

import sweeper
from sweeper.cli.main import COMMANDS, SweeperGroup, main
from tests.sweeper.cli.conftest import Run
from tests.sweeper.processes import loaded, wait_until
from trainers.errors import UserError

ROOT = Path(__file__).parents[3]
HEAVY = {"torch", "ray", "optuna", "pandas", "scipy"}
ASLEEP = """SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event = 'PgSleep'"""
LOOKING = [
    ("status",),
    ("watch", "demo"),
    ("query", "trials"),
    ("show", "demo/kd#3"),
    ("show", "demo"),
    ("methods",),
    ("tasks",),
]


def start(*arguments: str, url: str = "", pipe: int = subprocess.PIPE) -> subprocess.Popen[str]:
    environment = os.environ | {"SWEEPER_DATABASE_URL": url}
    code = "from sweeper.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=pipe,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )


def test_help_lists_every_command_and_imports_none() -> None:
    code = "import sys; from sweeper.cli.main import main\ntry: main(['--help'])\n"
    code += "except SystemExit: print(*[m for m in sys.modules if m.startswith('sweeper.cli.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert done.stdout.splitlines()[-1] == "sweeper.cli.main"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    pytest.importorskip(f"sweeper.cli.{name}")
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.output


@pytest.mark.parametrize("arguments", LOOKING, ids=" ".join)
def test_looking_imports_nothing_heavy(arguments: tuple[str, ...], demo_url: str) -> None:
    assert loaded(HEAVY, demo_url, *arguments) == ""


def test_the_version_is_the_package_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sweeper.__version__ == project["version"]
    assert (
        CliRunner().invoke(main, ["--version"]).output == f"sweeper, version {project['version']}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["statsu"], "did you mean 'status'?"),
        (["query", "leaderbord"], "did you mean 'leaderboard'?"),
        (["methods", "kdd"], "did you mean 'kd'?"),
        (["tasks", "shape"], "did you mean 'shapes'?"),
        (["show", "demo/kd#x"], "SWEEP/METHOD#N"),
        (["query"], "give one of"),
    ],
)
def test_a_user_s_fault_exits_with_2_and_a_hint(look: Run, arguments: list[str], hint: str) -> None:
    result = look(*arguments)
    assert result.exit_code == 2
    assert hint in result.stderr


def test_a_database_that_does_not_answer_is_one_line_without_the_password() -> None:
    process = start("status", url="postgresql://me:secret@127.0.0.1:1/none")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.startswith("error: postgresql")
    assert errors.count("\n") == 1
    assert "secret" not in errors


def test_a_closed_pipe_is_no_fault_to_speak_of(demo_url: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start("query", "trials", "--sweep", "demo", url=demo_url, pipe=writing)
    os.close(writing)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, "")


def is_asleep(engine: Engine) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(text(ASLEEP)))


def test_an_interrupt_ends_a_long_query_at_once(demo_url: str, demo_engine: Engine) -> None:
    process = start("query", "--sql", "SELECT pg_sleep(300)", url=demo_url)
    wait_until(lambda: is_asleep(demo_engine), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode in (-signal.SIGINT, 130)
    assert "Traceback" not in errors


def failing(error: BaseException) -> SweeperGroup:
    def fail() -> None:
        raise error

    return SweeperGroup(commands={"fail": click.Command("fail", callback=fail)})


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "\n"),
        (UserError("a fault\nin two lines"), 2, "error: a fault in two lines\n"),
        (click.UsageError("no such option"), 2, "error: no such option; see root fail --help\n"),
        (
            OperationalError("SELECT secret", {}, Exception("the server went away\nand more")),
            2,
            "error: the database failed: the server went away; see `sweeper db status`\n",
        ),
    ],
    ids=["interrupt", "user", "usage", "database"],
)
def test_an_error_becomes_one_line_and_a_code(error: BaseException, code: int, said: str) -> None:
    result = CliRunner().invoke(failing(error), ["fail"])
    assert result.exit_code == code
    assert result.stderr.endswith(said)


def test_a_fault_of_ours_is_not_hidden() -> None:
    assert isinstance(
        CliRunner().invoke(failing(ZeroDivisionError()), ["fail"]).exception, ZeroDivisionError
    )
