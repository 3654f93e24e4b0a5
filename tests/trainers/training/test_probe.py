"""Times of steps measured on a few of them, under a teacher that nobody trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.trainers.tiny_task import TASK
from trainers.errors import MethodError
from trainers.method_api.loading import load_method
from trainers.training.probe import Probe


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    with closing(Probe(TASK, None, "cpu")) as opened:
        yield opened


@pytest.mark.parametrize("method", ["baseline", "kd"])
def test_a_larger_cohort_takes_longer_a_step(probe: Probe, method: str) -> None:
    assert 0 < probe.step_seconds(method, 1) < probe.step_seconds(method, 6)


def test_an_evaluation_and_a_step_of_the_teacher_take_some_time(probe: Probe) -> None:
    assert probe.evaluation_seconds() > 0
    assert probe.teacher_step_seconds() > 0


def test_so_many_steps_as_are_asked_for_are_timed(probe: Probe) -> None:
    assert probe.step_seconds("kd", 1, steps=3) > 0


def test_a_method_with_a_preparation_is_timed_under_one_that_nobody_trained(probe: Probe) -> None:
    assert probe.step_seconds("ka", 1, steps=1) > 0


def test_a_method_that_fails_has_no_time(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(load_method("kd"), "losses", fail)
    with pytest.raises(MethodError, match="kd failed while its steps were timed.*no such thing"):
        probe.step_seconds("kd", 1)
