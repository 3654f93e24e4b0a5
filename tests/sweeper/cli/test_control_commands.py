"""`sweeper watch`, `pause` and `cancel`: what they say, change, and refuse."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from sweeper.postgres.read_only import reader_engine
from sweeper.scheduler.lease import Lease, acquire
from tests.sweeper.cli.conftest import Run
from tests.sweeper.synthetic import COMMAND, fill, leave_in_flight


@pytest.fixture
def unfinished(demo: Engine) -> Engine:
    """The sweep `demo` with one trial of kd in flight, and nobody who drives it."""
    leave_in_flight(demo, study_id=2)
    return demo


def value(engine: Engine, query: str) -> Any:
    with engine.connect() as connection:
        return connection.scalar(text(query))


def test_watching_a_sweep_that_is_done_ends_with_its_table(look: Run) -> None:
    result = look("watch", "demo")
    assert (result.exit_code, result.stderr) == (0, "")
    line, last = result.stdout.splitlines()
    assert line.startswith("48/48 trials, ")
    assert "kd 16/16, best 41.16" in line
    assert last == "sweep demo: done"


def test_watching_a_sweep_that_nobody_drives_ends_with_the_command_that_goes_on(
    run: Run, unfinished: Engine
) -> None:
    result = run("watch", "demo")
    assert result.exit_code == 0
    assert f"sweep demo: interrupted: go on with `{COMMAND}`" in result.stdout
    assert "kd 15/16" in result.stdout


def test_pausing_what_nobody_drives_marks_it_at_once(run: Run, unfinished: Engine) -> None:
    result = run("pause", "demo")
    assert result.exit_code == 0
    assert "sweep demo is paused by " in result.stdout
    assert COMMAND in result.stdout
    assert value(unfinished, "SELECT paused_by LIKE '%@%' FROM sweeper.sweep")
    assert "paused by " in run("status").stdout
    assert "paused by " in run("watch", "demo").stdout


def test_a_pause_need_not_wait_for_the_driver(run: Run, unfinished: Engine) -> None:
    assert isinstance(acquire(unfinished, 1), Lease)
    result = run("pause", "demo", "--no-wait")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "is about to end" in result.stdout
    assert "it is about to end" in run("status").stdout


def test_there_is_nothing_to_pause_in_a_sweep_that_is_done(run: Run, demo: Engine) -> None:
    assert run("pause", "demo").stdout == "sweep demo is done: there is nothing to pause\n"
    assert value(demo, "SELECT paused_by FROM sweeper.sweep") is None


def test_a_method_is_cancelled_and_shown_so_everywhere(run: Run, unfinished: Engine) -> None:
    result = run("cancel", "demo/kd", "--yes")
    assert result.exit_code == 0
    assert "methods: demo/kd\n1 undecided trials fail" in result.stdout
    status, shown = run("status").stdout, run("show", "demo/kd").stdout
    assert "kd cancelled: by " in status
    assert "\n  done\n" in status
    assert "kd, search 1: cancelled\nreason: by " in shown
    assert "kd (cancelled)" in run("query", "leaderboard").stdout
    assert "kd 16/16, best 41.16, cancelled" in run("watch", "demo").stdout
    assert "cancelled" in run("query", "trials").stdout.split()
    assert "reason: cancelled by " in run("show", "demo/kd#15").stdout


def test_a_whole_sweep_without_anything_left_has_nothing_to_cancel(look: Run) -> None:
    result = look("cancel", "demo", "--yes")
    assert (result.exit_code, result.stdout) == (0, "nothing of demo is left to cancel\n")


def test_cancelling_asks_or_needs_yes(run: Run, unfinished: Engine) -> None:
    result = run("cancel", "demo")
    assert result.exit_code == 2
    assert "nobody can be asked whether this is to be cancelled: give --yes" in result.stderr
    assert value(unfinished, "SELECT state FROM sweeper.study WHERE id = 2") == "active"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["watch", "dmo"], "no sweep 'dmo'; did you mean 'demo'?"),
        (["pause", "dmo"], "no sweep 'dmo'; did you mean 'demo'?"),
        (["cancel", "dmo"], "no sweep 'dmo'; did you mean 'demo'?"),
        (["cancel", "demo/kf"], "no method 'demo/kf'; did you mean 'demo/kd'?"),
        (["cancel", "demo/kd@2"], "no method 'demo/kd@2'; did you mean 'demo/kd'?"),
        (["cancel", "demo/kd#3"], "is one trial"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_what_is_not_there_is_one_line(look: Run, arguments: list[str], hint: str) -> None:
    result = look(*arguments)
    assert result.exit_code == 2
    assert hint in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_watcher_s_connection_can_change_nothing(engine: Engine) -> None:
    fill(engine)
    url = engine.url.render_as_string(hide_password=False)
    with (
        reader_engine(url, "test") as reading,
        reading.connect() as connection,
        pytest.raises(DBAPIError, match="read-only|permission denied"),
    ):
        connection.execute(text("UPDATE sweeper.sweep SET paused_by = 'me'"))
