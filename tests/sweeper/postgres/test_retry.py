"""A database that goes away for a while costs time, and nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from sweeper.postgres import retry
from sweeper.postgres.retry import retry_on_disconnect


class Flaky:
    """Fails some times before it answers."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def __call__(self) -> str:
        if self.failures > 0:
            self.failures -= 1
            raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))
        return "answer"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE_S", 0.0)


def test_a_lost_connection_is_tried_again() -> None:
    repaired: list[str] = []
    assert retry_on_disconnect(Flaky(2), before_retry=lambda: repaired.append("x")) == "answer"
    assert repaired == ["x", "x"]


def test_patience_ends() -> None:
    with pytest.raises(OperationalError):
        retry_on_disconnect(Flaky(2), retry_s=-1.0)


def test_another_error_passes_at_once() -> None:
    def wrong() -> None:
        raise ProgrammingError("SELEC 1", {}, Exception("syntax error"))

    with pytest.raises(ProgrammingError):
        retry_on_disconnect(wrong)
