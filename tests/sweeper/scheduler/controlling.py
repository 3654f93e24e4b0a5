"""Segments issued and recorded one by one, and searches cancelled by name."""

from __future__ import annotations

from sweeper.core.names import parse_reference
from sweeper.scheduler.checkpoint_gc import remove
from sweeper.scheduler.pause_and_cancel import cancel, plan_cancellation
from sweeper.scheduler.state_machine import Assignment, Sweep
from sweeper.store.database import Store
from tests.sweeper.fakes import FakeTrainer
from trainers.training.segment import Control


def issue(sweep: Sweep) -> Assignment:
    assignment = sweep.next_segment()
    assert isinstance(assignment, Assignment)
    return assignment


def record(sweep: Sweep, assignment: Assignment, trainer: FakeTrainer | None = None) -> None:
    sweep.record(assignment, (trainer or FakeTrainer()).run(assignment.segment, Control()))


def cancel_named(store: Store, name: str, *, one_search: bool = False) -> None:
    with store.engine.connect() as connection:
        plan = plan_cancellation(connection, parse_reference(name), one_search=one_search)
    remove(cancel(store.engine, plan, "me@here"), plan.folder)
