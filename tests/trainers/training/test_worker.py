"""A worker as a driver sees it: what it says of itself, how far it is, that it stops."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.sweeper.runners.tiny import FINGERPRINT, TASK
from tests.sweeper.runners.workers import SlowWorker
from trainers.training.segment import Ending, Member, Outcome, Segment
from trainers.training.worker import Worker


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    member = Member(key="a", method="baseline", params={})
    return Segment(
        task=TASK, seed=1, start=0, stop=12, evaluate=True, members=(member,), folder=tmp_path
    )


def test_a_worker_describes_its_data_and_versions() -> None:
    description = Worker().describe(TASK.data, None, ["torch"], None, Path.cwd())
    assert description.fingerprint == FINGERPRINT
    assert set(description.environment.versions) == {"python", "torch"}


def test_a_worker_reports_how_far_it_is_and_stops_on_request(segment: Segment) -> None:
    worker, outcomes = SlowWorker(), list[Outcome]()
    thread = threading.Thread(target=lambda: outcomes.append(worker.run(7, segment)))
    thread.start()
    while (status := worker.status(7)) is None or not status.heartbeats:
        assert worker.status(6) is None
    worker.stop()
    thread.join()
    [member] = outcomes[0].members
    assert (member.ending, outcomes[0].interrupted) == (Ending.REACHED, True)
    assert status.step <= member.step < 12
    assert worker.status(7) is None
