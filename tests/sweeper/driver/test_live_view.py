"""What a running sweep shows: rates and times, a table in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from sweeper.driver.live_view import Clock, duration, live_view
from sweeper.scheduler.progress import StudyProgress, SweepProgress


def study(method: str = "kd", **changes: Any) -> StudyProgress:
    counts = {"complete": 3, "pruned": 2, "diverged": 1, "failed": 0, "undecided": 2}
    values = {"repeat": 1, "state": "active", "reason": None, "budget": 16, "planned": 8}
    spent = {"best_score": 41.5, "trained_steps": 300, "wasted_steps": 0, "device_seconds": 30.0}
    return StudyProgress(method=method, **{**counts, **values, **spent, **changes})


def progress(trained: int = 300, total: int = 1300, **changes: Any) -> SweepProgress:
    studies = [study(trained_steps=trained, **changes)]
    return SweepProgress(studies=studies, total_steps=total, segment_steps=0)


def clock_at(*times: float) -> Clock:
    left: Iterator[float] = iter(times)
    return Clock(now=lambda: next(left))


def test_rates_count_from_what_was_there_at_the_start() -> None:
    clock = clock_at(0.0, 0.0, 100.0)
    assert clock.summary(progress()).endswith("unknown time to go")
    said = clock.summary(progress(trained=800, complete=5))
    assert said == "8/16 trials, 5.0 steps/s, 72 trials/h, 1 min 40 s gone, about 1 min 40 s to go"


def test_steps_that_were_lost_do_not_make_a_rate_negative() -> None:
    clock = clock_at(0.0, 10.0, 20.0)
    clock.summary(progress())
    assert ", 0.0 steps/s, " in clock.summary(progress(trained=200))


def test_a_sweep_that_is_done_has_no_time_to_go() -> None:
    said = clock_at(0.0, 10.0).summary(progress(complete=13, undecided=0))
    assert said.endswith("10 s gone")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(44.6, "45 s"), (200.0, "3 min 20 s"), (3600.0, "1 h 00 min"), (12_000.0, "3 h 20 min")],
)
def test_times_are_for_people(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_outside_a_terminal_a_line_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with live_view(progress, "sweep s", lambda: ["driven by me", "and more"]) as say:
        say("a line above")
    lines = capsys.readouterr().err.splitlines()
    assert "a line above" in lines
    [shown] = [line for line in lines if line != "a line above"]
    assert shown.startswith("6/16 trials, 0.0 steps/s")
    assert shown.endswith("kd 6/16, best 41.50; driven by me")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"state": "blocked"}, "blocked"),
        ({}, "2 open"),
        ({"undecided": 0}, "to be planned"),
        ({"complete": 13, "undecided": 0}, "done"),
    ],
)
def test_a_terminal_shows_a_table_with_what_each_method_does(
    changes: dict[str, Any],
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with live_view(lambda: progress(**changes), "sweep s", lambda: ["driven by me"]):
        pass
    table = capsys.readouterr().err
    for part in ("sweep s", "kd", "41.50", shown, "driven by me"):
        assert part in table


def test_a_database_that_is_away_for_a_moment_ends_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers: list[SweepProgress | Exception] = [
        OperationalError("SELECT 1", {}, Exception("server closed the connection")),
        progress(),
    ]

    def read() -> SweepProgress:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with live_view(read, "sweep s"):
        pass
    assert capsys.readouterr().err.startswith("6/16 trials")
