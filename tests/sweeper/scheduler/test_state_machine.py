"""The state machine on a real PostgreSQL: exact budgets, nothing lost, nothing repeated."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from sqlalchemy import text

from sweeper.optuna_export.projection import Projection
from sweeper.runners.heartbeat import Heartbeat
from sweeper.scheduler.state_machine import Assignment, Idle
from sweeper.store.database import Store
from tests.sweeper.driving import (
    LEDGER,
    RUNGS,
    TRIALS,
    UNDISTURBED_STEPS,
    declaration_of,
    failing,
    open_sweep,
    results,
    rows,
    run_sweep,
)
from tests.sweeper.fakes import FakeTrainer, Killed
from trainers.training.segment import Ending


def test_a_sweep_ends_with_exactly_its_budget_and_nothing_undecided(
    store: Store, tmp_path: Path
) -> None:
    assert run_sweep(open_sweep(store, tmp_path))
    counts = rows(store.engine, "SELECT method, complete, pruned, undecided FROM sweeper.progress")
    assert sorted(counts) == [("baseline", 14, 10, 0), ("kd", 14, 10, 0)]


def test_planned_steps_are_equal_and_all_of_them_trained(store: Store, tmp_path: Path) -> None:
    run_sweep(open_sweep(store, tmp_path))
    steps = UNDISTURBED_STEPS
    assert rows(store.engine, LEDGER) == [("baseline", steps, steps, 0), ("kd", steps, steps, 0)]


@pytest.mark.parametrize("cohort", [1, 3])
def test_the_size_of_cohorts_changes_no_trial(
    store: Store, other_store: Store, tmp_path: Path, cohort: int
) -> None:
    run_sweep(open_sweep(store, tmp_path / "a"))
    run_sweep(open_sweep(other_store, tmp_path / "b", cohort=cohort))
    assert results(store.engine) == results(other_store.engine)


def test_a_budget_that_grows_ends_like_one_that_was_large_at_once(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    for budget in (8, 16, 24):
        run_sweep(open_sweep(store, tmp_path / "a", declaration_of(budget)))
    run_sweep(open_sweep(other_store, tmp_path / "b"))
    assert results(store.engine) == results(other_store.engine)


def test_a_method_that_comes_later_gets_the_same_trials(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    for method in ("kd", "baseline"):
        run_sweep(open_sweep(store, tmp_path / "a", declaration_of(methods=(method,))))
    run_sweep(open_sweep(other_store, tmp_path / "b"))
    assert results(store.engine) == results(other_store.engine)


def test_segments_cut_short_go_on_from_their_checkpoints(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    chance = random.Random(1)
    run_sweep(
        open_sweep(store, tmp_path / "a"),
        FakeTrainer(cut=lambda segment: chance.randint(segment.start + 1, segment.stop)),
    )
    run_sweep(open_sweep(other_store, tmp_path / "b"))
    assert results(store.engine) == results(other_store.engine)
    assert [row[3] for row in rows(store.engine, LEDGER)] == [0, 0]


@pytest.mark.parametrize("die_at", [0, 3, 7])
def test_a_driver_that_dies_loses_only_its_running_segment(
    store: Store, other_store: Store, tmp_path: Path, die_at: int
) -> None:
    with pytest.raises(Killed):
        run_sweep(open_sweep(store, tmp_path / "a"), FakeTrainer(die_at=die_at))
    sweep = open_sweep(store, tmp_path / "a")
    finished = rows(store.engine, RUNGS)
    assert run_sweep(sweep)
    run_sweep(open_sweep(other_store, tmp_path / "b"))
    assert results(store.engine) == results(other_store.engine)
    assert set(finished) <= set(rows(store.engine, RUNGS))
    trained = [row[2] for row in rows(store.engine, LEDGER)]
    assert trained == [UNDISTURBED_STEPS, UNDISTURBED_STEPS]


def test_an_outcome_recorded_twice_counts_once(store: Store, tmp_path: Path) -> None:
    sweep, trainer = open_sweep(store, tmp_path), FakeTrainer()
    assignment = sweep.next_segment()
    assert isinstance(assignment, Assignment)
    outcome = trainer.run(
        assignment.segment, Heartbeat(sweep, threading.Event()).control(assignment)
    )
    sweep.record(assignment, outcome)
    before = rows(store.engine, LEDGER)
    sweep.record(assignment, outcome)
    assert rows(store.engine, LEDGER) == before


def test_with_everything_in_flight_there_is_something_to_wait_for(
    store: Store, tmp_path: Path
) -> None:
    sweep = open_sweep(store, tmp_path, cohort=8)
    assert isinstance(sweep.next_segment(slots=2), Assignment)
    assert isinstance(sweep.next_segment(slots=1), Assignment)
    assert sweep.next_segment() is Idle.WAIT


def test_methods_take_turns_by_steps_begun(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path, cohort=4)
    assignment = sweep.next_segment()
    assert isinstance(assignment, Assignment)
    assert [m.key for m in assignment.segment.members] == [
        "s/baseline#0",
        "s/kd#0",
        "s/baseline#1",
        "s/kd#1",
    ]


class Behind(Projection):
    """Projects nothing."""

    def update(self, sweep_id: int) -> int:  # noqa: ARG002 - as a projection's
        return 0


@pytest.mark.parametrize("kind", [Projection, Behind], ids=["at once", "at the end"])
def test_optunas_tables_show_what_the_log_says(
    store: Store, tmp_path: Path, kind: type[Projection]
) -> None:
    sweep = open_sweep(store, tmp_path)
    sweep.projection = kind(store.engine, store.storage)
    run_sweep(sweep, FakeTrainer(fault=failing(Ending.DIVERGED, "s/kd#9")))
    Projection(store.engine, store.storage).update(sweep.id)
    trials = optuna.load_study(study_name="s/kd", storage=store.storage).trials
    shown = [("kd", t.number, t.params, t.state.name, t.value) for t in trials]
    assert shown == [row[:5] for row in rows(store.engine, TRIALS) if row[0] == "kd"]
    values = [(t.number, *pair) for t in trials for pair in t.intermediate_values.items()]
    assert values == [row[1:4] for row in rows(store.engine, RUNGS) if row[0] == "kd"]
    assert [t.number for t in trials if t.constraints] == [9]


def test_projecting_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    run_sweep(sweep, FakeTrainer(fault=failing(Ending.DIVERGED, "s/kd#9")))
    before = optuna.load_study(study_name="s/kd", storage=store.storage).trials
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.trial SET projected_revision = 0"))
    assert sweep.projection.update(sweep.id) == 48
    assert sweep.projection.update(sweep.id) == 0
    assert optuna.load_study(study_name="s/kd", storage=store.storage).trials == before


def test_a_projection_that_went_wrong_is_made_anew(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    sweep.next_segment()
    study = optuna.load_study(study_name="s/kd", storage=store.storage)
    study.add_trial(study.trials[0])  # as by somebody's tool
    assert sweep.projection.repair(sweep.id) == 16
    study = optuna.load_study(study_name="s/kd", storage=store.storage)
    assert [t.number for t in study.trials] == list(range(8))


def test_a_method_that_needs_a_teacher_waits_for_one(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path, teacher=None)
    assert sweep.next_segment() is Idle.NEEDS_PREREQUISITES
    sweep.driver_config = replace(sweep.driver_config, teacher=Path("teacher.pt"))
    assert isinstance(sweep.next_segment(), Assignment)


def test_what_lacks_nothing_goes_on_while_the_rest_is_made_ready(
    store: Store, tmp_path: Path
) -> None:
    sweep = open_sweep(store, tmp_path, teacher=None)
    issued = [sweep.next_segment(1, is_making=True) for _ in range(3)]
    methods = {
        member.method
        for assignment in issued
        if isinstance(assignment, Assignment)
        for member in assignment.segment.members
    }
    assert methods == {"baseline"}
    assert sweep.next_segment() is Idle.NEEDS_PREREQUISITES


def test_a_baseline_needs_no_teacher(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path, declaration_of(methods=("baseline",)), teacher=None)
    assert run_sweep(sweep)
