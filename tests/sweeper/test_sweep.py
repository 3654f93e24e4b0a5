"""The state machine on a real PostgreSQL: exact budgets, nothing lost, nothing repeated."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import Engine, text

from sweeper.declaring import Declaration, Launch, MethodPlan, declare
from sweeper.errors import LeaseLost, PlanError, ProtocolMismatch
from sweeper.launching import Request, declaration
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.inline import run_inline
from sweeper.search.space import build_space
from sweeper.store.database import Store
from sweeper.store.lease import Holder, Lease, acquire
from sweeper.store.projection import Projection
from sweeper.sweep import Assignment, Idle, Sweep, Workplace
from tests.sweeper.fakes import FakeTrainer, Killed
from trainers.segment import Ending
from trainers.tasks import load_task

METHODS = ("baseline", "kd")
WHO = Launch(who="somebody@somewhere", command="sweeper launch", provenance={})
UNDISTURBED_STEPS = 8 * 60 + 2 * (8 * 20 + 3 * 40)  # shapes, budget 24


def _declaration(budget: int = 24, **changes: Any) -> Declaration:
    methods = changes.pop("methods", METHODS)
    task = load_task("shapes")
    request = Request(task=task, sweep="s", methods=methods, budget=budget, **changes)
    plans = [
        MethodPlan(space=build_space(task, m), code_hash=f"code of {m}", last_switch=0.0)
        for m in methods
    ]
    return declaration(request, plans, fingerprint="data")


def _open(store: Store, checkpoints: Path, given: Declaration | None = None, **place: Any) -> Sweep:
    row = declare(store.engine, given or _declaration(), WHO)
    lease = acquire(store.engine, row.id)
    assert isinstance(lease, Lease)
    workplace = Workplace(checkpoints=checkpoints, **place)
    sweep = Sweep(store.engine, row, lease, workplace, Projection(store.engine, store.storage))
    sweep.recover()
    return sweep


def _run(sweep: Sweep, trainer: FakeTrainer | None = None) -> bool:
    trainer = trainer or FakeTrainer()
    try:
        return run_inline(sweep, trainer, Heartbeat(sweep, threading.Event()))
    finally:
        sweep.lease.release(sweep.engine)


def _rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


TRIALS = """SELECT y.method, t.number, t.params, t.state, t.value, t.origin FROM sweeper.trial t
            JOIN sweeper.study y ON y.id = t.study_id ORDER BY y.method, t.number"""
RUNGS = """SELECT y.method, r.number, r.step, r.value, r.weights_hash FROM sweeper.rung r
           JOIN sweeper.study y ON y.id = r.study_id ORDER BY y.method, r.number, r.step"""
LEDGER = "SELECT method, planned_steps, trained_steps, wasted_steps FROM sweeper.ledger ORDER BY 1"


def _results(engine: Engine) -> tuple[Any, Any]:
    return _rows(engine, TRIALS), _rows(engine, RUNGS)


def test_a_sweep_ends_with_exactly_its_budget_and_nothing_undecided(
    store: Store, tmp_path: Path
) -> None:
    assert _run(_open(store, tmp_path))
    counts = _rows(store.engine, "SELECT method, complete, pruned, undecided FROM sweeper.progress")
    assert sorted(counts) == [("baseline", 14, 10, 0), ("kd", 14, 10, 0)]


def test_planned_steps_are_equal_and_all_of_them_trained(store: Store, tmp_path: Path) -> None:
    _run(_open(store, tmp_path))
    steps = UNDISTURBED_STEPS
    assert _rows(store.engine, LEDGER) == [("baseline", steps, steps, 0), ("kd", steps, steps, 0)]


@pytest.mark.parametrize("cohort", [1, 3])
def test_the_size_of_cohorts_changes_no_trial(
    store: Store, other_store: Store, tmp_path: Path, cohort: int
) -> None:
    _run(_open(store, tmp_path / "a"))
    _run(_open(other_store, tmp_path / "b", cohort=cohort))
    assert _results(store.engine) == _results(other_store.engine)


def test_a_budget_that_grows_ends_like_one_that_was_large_at_once(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    for budget in (8, 16, 24):
        _run(_open(store, tmp_path / "a", _declaration(budget)))
    _run(_open(other_store, tmp_path / "b"))
    assert _results(store.engine) == _results(other_store.engine)


def test_a_method_that_comes_later_gets_the_same_trials(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    for method in ("kd", "baseline"):
        _run(_open(store, tmp_path / "a", _declaration(methods=(method,))))
    _run(_open(other_store, tmp_path / "b"))
    assert _results(store.engine) == _results(other_store.engine)


def test_segments_cut_short_go_on_from_their_checkpoints(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    chance = random.Random(1)
    _run(
        _open(store, tmp_path / "a"),
        FakeTrainer(cut=lambda segment: chance.randint(segment.start + 1, segment.stop)),
    )
    _run(_open(other_store, tmp_path / "b"))
    assert _results(store.engine) == _results(other_store.engine)
    assert [row[3] for row in _rows(store.engine, LEDGER)] == [0, 0]


@pytest.mark.parametrize("die_at", [0, 3, 7])
def test_a_driver_that_dies_loses_only_its_running_segment(
    store: Store, other_store: Store, tmp_path: Path, die_at: int
) -> None:
    with pytest.raises(Killed):
        _run(_open(store, tmp_path / "a"), FakeTrainer(die_at=die_at))
    sweep = _open(store, tmp_path / "a")
    finished = _rows(store.engine, RUNGS)
    assert _run(sweep)
    _run(_open(other_store, tmp_path / "b"))
    assert _results(store.engine) == _results(other_store.engine)
    assert set(finished) <= set(_rows(store.engine, RUNGS))
    trained = [row[2] for row in _rows(store.engine, LEDGER)]
    assert trained == [UNDISTURBED_STEPS, UNDISTURBED_STEPS]


def test_an_outcome_recorded_twice_counts_once(store: Store, tmp_path: Path) -> None:
    sweep, trainer = _open(store, tmp_path), FakeTrainer()
    assignment = sweep.next_segment()
    assert isinstance(assignment, Assignment)
    outcome = trainer.run(
        assignment.segment, Heartbeat(sweep, threading.Event()).control(assignment)
    )
    sweep.record(assignment, outcome)
    before = _rows(store.engine, LEDGER)
    sweep.record(assignment, outcome)
    assert _rows(store.engine, LEDGER) == before


def test_with_everything_in_flight_there_is_something_to_wait_for(
    store: Store, tmp_path: Path
) -> None:
    sweep = _open(store, tmp_path, cohort=8)
    assert isinstance(sweep.next_segment(slots=2), Assignment)
    assert isinstance(sweep.next_segment(slots=1), Assignment)
    assert sweep.next_segment() is Idle.WAIT


def test_methods_take_turns_by_steps_begun(store: Store, tmp_path: Path) -> None:
    sweep = _open(store, tmp_path, cohort=4)
    assignment = sweep.next_segment()
    assert isinstance(assignment, Assignment)
    assert [m.key for m in assignment.segment.members] == [
        "s/baseline#0",
        "s/kd#0",
        "s/baseline#1",
        "s/kd#1",
    ]


def _fail(ending: Ending, *keys: str) -> Callable[[Any], Ending | None]:
    return lambda member: ending if member.key in keys else None


def test_a_diverged_trial_is_pruned_without_a_value_and_never_promoted(
    store: Store, tmp_path: Path
) -> None:
    _run(_open(store, tmp_path), FakeTrainer(fault=_fail(Ending.DIVERGED, "s/kd#3", "s/kd#9")))
    rows = _rows(
        store.engine, "SELECT number, state, miou FROM sweeper.trials WHERE diverged ORDER BY 1"
    )
    assert rows == [(3, "PRUNED", None), (9, "PRUNED", None)]
    study = optuna.load_study(study_name="s/kd", storage=store.storage)
    assert [t.constraints for t in study.trials[2:5]] == [{}, {"diverged": 1.0}, {}]
    planned = {row[1] for row in _rows(store.engine, LEDGER)}
    assert planned == {UNDISTURBED_STEPS}


def test_two_failures_cost_two_trials_and_the_third_halts_the_method(
    store: Store, tmp_path: Path
) -> None:
    broken = _fail(Ending.FAILED, "s/kd#1", "s/kd#2", "s/kd#9", "s/kd#10", "s/kd#11")
    assert _run(_open(store, tmp_path), FakeTrainer(fault=broken))
    [(state, reason, undecided)] = _rows(
        store.engine,
        "SELECT state, reason, undecided FROM sweeper.progress WHERE method = 'kd'",
    )
    assert (state, undecided) == ("halted", 0)
    assert "3 trials of bracket 1 failed: on order" in reason
    [(complete,)] = _rows(
        store.engine, "SELECT complete FROM sweeper.progress WHERE method = 'baseline'"
    )
    assert complete == 14


def test_a_method_that_is_lost_three_times_is_parked_and_goes_on_after_a_relaunch(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    _run(_open(store, tmp_path / "a"), FakeTrainer(fault=_fail(Ending.LOST, "s/kd#5")))
    [(state,)] = _rows(store.engine, "SELECT state FROM sweeper.progress WHERE method = 'kd'")
    assert state == "parked"
    _run(_open(store, tmp_path / "a"))
    _run(_open(other_store, tmp_path / "b"))
    assert _results(store.engine) == _results(other_store.engine)


def test_optunas_tables_show_what_the_log_says(store: Store, tmp_path: Path) -> None:
    _run(_open(store, tmp_path))
    study = optuna.load_study(study_name="s/kd", storage=store.storage)
    shown = [(t.number, t.params, t.state.name, t.value) for t in study.trials]
    assert shown == [row[1:5] for row in _rows(store.engine, TRIALS) if row[0] == "kd"]


def test_a_projection_that_was_cut_short_is_mended(store: Store, tmp_path: Path) -> None:
    sweep = _open(store, tmp_path)
    sweep.next_segment()
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.trial SET projected_revision = 0"))
    assert sweep.projection.repair(sweep.id) == 16
    study = optuna.load_study(study_name="s/kd", storage=store.storage)
    assert [t.number for t in study.trials] == list(range(8))


def test_checkpoints_that_nothing_needs_are_removed(store: Store, tmp_path: Path) -> None:
    _run(_open(store, tmp_path))
    kept = {
        Path(row[0])
        for row in _rows(
            store.engine, "SELECT checkpoint FROM sweeper.trial WHERE state = 'COMPLETE'"
        )
    }
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == kept


def test_one_driver_at_a_time(store: Store, tmp_path: Path) -> None:
    sweep = _open(store, tmp_path)
    second = acquire(store.engine, sweep.id)
    assert isinstance(second, Holder)
    assert second.alive


def test_a_driver_that_was_taken_over_can_write_nothing(store: Store, tmp_path: Path) -> None:
    sweep = _open(store, tmp_path)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.lease SET renewed_at = now() - interval '1 hour'"))
    assert isinstance(acquire(store.engine, sweep.id), Lease)
    with pytest.raises(LeaseLost):
        sweep.next_segment()
    assert _rows(store.engine, "SELECT count(*) FROM sweeper.trial") == [(0,)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": 1}, "seed: was 0, now 1"),
        ({"pruning": False}, "plan.keep: was [8, 3], now [8, 8]"),
    ],
)
def test_a_relaunch_with_another_protocol_is_refused_field_by_field(
    store: Store, change: dict[str, Any], field: str
) -> None:
    declare(store.engine, _declaration(), WHO)
    with pytest.raises(ProtocolMismatch) as refusal:
        declare(store.engine, _declaration(**change), WHO)
    assert field in str(refusal.value)


def test_a_relaunch_with_another_code_of_a_method_is_refused(store: Store) -> None:
    given = _declaration()
    declare(store.engine, given, WHO)
    changed = [replace(method, code_hash="other") for method in given.methods]
    with pytest.raises(ProtocolMismatch, match="code: was 'code of baseline', now 'other'"):
        declare(store.engine, replace(given, methods=changed), WHO)


def test_a_method_judged_before_its_last_stage_is_refused(store: Store) -> None:
    given = _declaration()
    late = [replace(method, last_switch=0.5) for method in given.methods]
    with pytest.raises(PlanError, match="step 30, after the first rung at step 20"):
        declare(store.engine, replace(given, methods=late), WHO)


def test_repeats_are_independent_searches_and_the_baseline_has_three_times_as_many(
    store: Store,
) -> None:
    declare(store.engine, _declaration(budget=8, repeats=2), WHO)
    counts = _rows(store.engine, "SELECT method, count(*) FROM sweeper.study GROUP BY 1 ORDER BY 1")
    assert counts == [("baseline", 6), ("kd", 2)]
