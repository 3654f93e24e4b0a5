"""What a terminal is told of long work."""

from __future__ import annotations

import pytest

from trainers.runtime import terminal
from trainers.runtime.terminal import Progress


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "PROGRESS_SECONDS", 0.0)


def test_progress_says_step_rate_and_time_left() -> None:
    said: list[str] = []
    Progress(100, 40, said.append)(50)
    assert said[0].startswith("  step 50/100, ")
    assert said[0].endswith(" s left")


def test_nothing_is_said_before_the_first_step() -> None:
    said: list[str] = []
    Progress(100, 40, said.append)(40)
    assert said == []
