"""Files that are damaged under a sweep: what they held is made again, and the results are equal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sweeper.runners.inline import InlineRunner
from sweeper.scheduler.state_machine import Assignment
from sweeper.store.database import Store
from tests.sweeper.driving import LEDGER, rows
from tests.sweeper.runners.conftest import RunnerOf
from tests.sweeper.runners.tiny import (
    REQUEST,
    assert_complete,
    open_tiny,
    prerequisite_trainer,
    run_tiny,
)
from trainers.training.cohort import Trainer
from trainers.training.segment import Control, Ending, Outcome

OPEN = """
    SELECT checkpoint, step FROM sweeper.trial
    WHERE state = 'RUNNING' AND checkpoint IS NOT NULL ORDER BY study_id, number"""
STATES = "SELECT DISTINCT state FROM sweeper.study"
EVENTS = "SELECT detail ->> 'why' FROM sweeper.event WHERE kind = '{}' ORDER BY id"
BLOCKED = """SELECT count(*) FROM sweeper.event
             WHERE kind IN ('method_blocked', 'method_failed', 'lost')"""
TEACHER = "SELECT path FROM sweeper.artifact WHERE kind = 'teacher'"
ONE_OF_EACH = ["inline", pytest.param("ray with 2 workers", marks=pytest.mark.ray)]


def flip(file: Path, content: bytes = b"") -> None:
    """Flip one bit, in the middle of the file or of where it holds `content`."""
    whole = bytearray(file.read_bytes())
    place = whole.find(content) + len(content) // 2 if content else len(whole) // 2
    whole[place] ^= 1
    file.write_bytes(whole)


def flip_in_optimizer(file: Path) -> None:
    state = torch.load(file, weights_only=True)["optimizer"]["state"]
    largest = max((entry["exp_avg_sq"] for entry in state.values()), key=torch.Tensor.numel)
    content = bytes(largest.untyped_storage().tolist())
    assert content in file.read_bytes()
    flip(file, content)


DAMAGES: tuple[Callable[[Path], Any], ...] = (
    flip_in_optimizer,
    lambda file: file.write_text("not a checkpoint"),
    lambda file: file.write_bytes(b""),
)


def test_trials_whose_checkpoints_are_damaged_begin_again_and_end_as_they_would(
    store: Store, tmp_path: Path, expected: list[list[tuple[Any, ...]]]
) -> None:
    sweep = open_tiny(store, tmp_path)
    sweep.driver_config = replace(
        sweep.driver_config, max_seconds=0.0
    )  # a checkpoint after every step
    assert not run_tiny(sweep, InlineRunner(Trainer(), "cpu"), lambda _, stop: stop.set())
    stored = rows(store.engine, OPEN)
    assert len(stored) == len(DAMAGES)
    for (file, _), damage in zip(stored, DAMAGES, strict=True):
        damage(Path(file))
    assert run_tiny(open_tiny(store, tmp_path), InlineRunner(Trainer(), "cpu"))
    assert_complete(store, expected)
    assert sum(row[3] for row in rows(store.engine, LEDGER)) == sum(step for _, step in stored)
    assert rows(store.engine, STATES) == [("active",)]
    assert rows(store.engine, BLOCKED) == [(0,)]
    told = [why for (why,) in rows(store.engine, EVENTS.format("restarted"))]
    assert {why.partition(": damaged")[0] for why in told} == {file for file, _ in stored}
    assert not [file for file, _ in stored if Path(file).exists()]


@pytest.mark.parametrize("runner_of", ONE_OF_EACH, indirect=True)
def test_what_is_damaged_while_a_sweep_runs_is_made_again(
    store: Store,
    tmp_path: Path,
    runner_of: RunnerOf,
    expected: list[list[tuple[Any, ...]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    flipped: list[Path] = []

    def damage(outcome: Outcome, stop: threading.Event) -> None:
        del stop
        if flipped or outcome.members[0].ending is not Ending.REACHED:
            return
        [(teacher,)] = rows(store.engine, TEACHER)
        flipped.extend([Path(teacher), *(Path(file) for file, _ in rows(store.engine, OPEN))])
        for file in flipped:
            flip(file)

    assert run_tiny(open_tiny(store, tmp_path), runner_of(False), damage)
    assert_complete(store, expected)
    assert rows(store.engine, STATES) == [("active",)]
    assert rows(store.engine, BLOCKED) == [(0,)]
    [(teacher,)] = rows(store.engine, TEACHER)
    # A trial or a calibration of the other method found it, whichever came first.
    assert f"{teacher}: damaged" in caplog.text


def test_a_preparation_that_is_damaged_while_a_sweep_runs_is_made_again(
    store: Store, tmp_path: Path
) -> None:
    trainer, stop = Trainer(), threading.Event()
    sweep = open_tiny(store, tmp_path, request=replace(REQUEST, methods=("ka",)))
    prerequisite_trainer(sweep, stop).train_prerequisites(trainer)
    made = sweep.driver_config
    [file] = made.preparations.values()
    flip(file)
    assignment = sweep.next_segment()
    assert isinstance(assignment, Assignment)
    outcome = trainer.run(assignment.segment, Control())
    assert {member.damaged for member in outcome.members} == {file}
    sweep.record(assignment, outcome)
    assert list(sweep.missing_prerequisites().preparations) == ["ka"]
    prerequisite_trainer(sweep, stop).train_prerequisites(trainer)
    assert sweep.driver_config == made
    assert rows(store.engine, STATES) == [("active",)]
    assert {row[3] for row in rows(store.engine, LEDGER)} == {0}


def test_what_is_damaged_before_it_is_measured_with_is_made_again(
    store: Store, tmp_path: Path
) -> None:
    trainer, stop, said = Trainer(), threading.Event(), list[str]()
    sweep = open_tiny(store, tmp_path, request=replace(REQUEST, methods=("ka",)))

    class Damaging(Trainer):
        """Has the teacher damaged while the student to measure at is trained."""

        def run(self, segment: Any, control: Control | None = None) -> Outcome:
            outcome = trainer.run(segment, control)
            if segment.members[0].key == "student" and not said:
                said.append("damaged")
                flip(sweep.driver_config.teacher or Path())
            return outcome

    calls = 0
    while sweep.missing_prerequisites():
        prerequisite_trainer(sweep, stop).train_prerequisites(Damaging())
        calls += 1
    assert (calls, said) == (2, ["damaged"])
    assert rows(store.engine, STATES) == [("active",)]
