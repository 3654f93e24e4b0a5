"""Times of steps measured on a few of them, under a teacher that nobody trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.trainers.tiny import TASK
from trainers.probe import Probe


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
