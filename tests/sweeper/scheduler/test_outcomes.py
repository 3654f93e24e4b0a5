"""What goes wrong around a trial: divergence, errors, losses, checkpoints, other code."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from sweeper.core.errors import SweeperError
from sweeper.scheduler.state_machine import Assignment
from sweeper.store.database import Store
from tests.sweeper.driving import (
    LEDGER,
    METHODS,
    TRIALS,
    UNDISTURBED_STEPS,
    declaration_of,
    failing,
    open_sweep,
    results,
    rows,
    run_sweep,
)
from tests.sweeper.fakes import FakeTrainer, Fault, Killed
from trainers.training.segment import MAX_DAMAGES, Control, Ending, Member

ONE_BRACKET = declaration_of(budget=8)


def test_a_diverged_trial_is_pruned_without_a_value_and_never_promoted(
    store: Store, tmp_path: Path
) -> None:
    diverging = FakeTrainer(fault=failing(Ending.DIVERGED, "s/kd#3", "s/kd#9"))
    run_sweep(open_sweep(store, tmp_path), diverging)
    diverged = rows(
        store.engine, "SELECT number, state, score FROM sweeper.trials WHERE diverged ORDER BY 1"
    )
    assert diverged == [(3, "PRUNED", None), (9, "PRUNED", None)]
    study = optuna.load_study(study_name="s/kd", storage=store.storage)
    assert [t.constraints for t in study.trials[2:5]] == [{}, {"diverged": 1.0}, {}]
    planned = {row[1] for row in rows(store.engine, LEDGER)}
    assert planned == {UNDISTURBED_STEPS}


def test_two_failures_cost_two_trials_and_with_the_third_the_method_fails(
    store: Store, tmp_path: Path
) -> None:
    broken = failing(Ending.FAILED, "s/kd#1", "s/kd#2", "s/kd#9", "s/kd#10", "s/kd#11")
    assert run_sweep(open_sweep(store, tmp_path), FakeTrainer(fault=broken))
    [(state, reason, undecided)] = rows(
        store.engine,
        "SELECT state, reason, undecided FROM sweeper.progress WHERE method = 'kd'",
    )
    assert (state, undecided) == ("failed", 0)
    assert "3 trials of bracket 1 failed: on order" in reason
    [(complete,)] = rows(
        store.engine, "SELECT complete FROM sweeper.progress WHERE method = 'baseline'"
    )
    assert complete == 14


def test_a_method_that_is_lost_three_times_is_blocked_and_goes_on_after_a_relaunch(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    run_sweep(open_sweep(store, tmp_path / "a"), FakeTrainer(fault=failing(Ending.LOST, "s/kd#5")))
    [(state,)] = rows(store.engine, "SELECT state FROM sweeper.progress WHERE method = 'kd'")
    assert state == "blocked"
    run_sweep(open_sweep(store, tmp_path / "a"))
    run_sweep(open_sweep(other_store, tmp_path / "b"))
    assert results(store.engine) == results(other_store.engine)


def test_checkpoints_that_nothing_needs_are_removed(store: Store, tmp_path: Path) -> None:
    run_sweep(open_sweep(store, tmp_path))
    kept = {
        Path(row[0])
        for row in rows(
            store.engine, "SELECT checkpoint FROM sweeper.trial WHERE state = 'COMPLETE'"
        )
    }
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == kept


def test_one_checkpoint_folder_may_be_spelt_in_many_ways(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    run_sweep(
        open_sweep(store, tmp_path / "ck"), FakeTrainer(cut=lambda segment: segment.start + 10)
    )
    before = set(tmp_path.rglob("*.pt"))
    open_sweep(store, tmp_path / "x" / ".." / "ck")
    assert before
    assert set(tmp_path.rglob("*.pt")) == before


def test_two_databases_may_share_a_checkpoint_folder(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    run_sweep(open_sweep(store, tmp_path))
    before = set(tmp_path.rglob("*.pt"))
    run_sweep(open_sweep(other_store, tmp_path))
    assert before < set(tmp_path.rglob("*.pt"))


def test_trials_whose_checkpoints_are_gone_start_again(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        run_sweep(open_sweep(store, tmp_path / "a"), FakeTrainer(die_at=3))
    for file in (tmp_path / "a").rglob("*.pt"):
        file.unlink()
    run_sweep(open_sweep(store, tmp_path / "a"))
    run_sweep(open_sweep(other_store, tmp_path / "b"))
    assert results(store.engine) == results(other_store.engine)
    assert sum(row[3] for row in rows(store.engine, LEDGER)) > 0


def once(*keys: str) -> Fault:
    """Return a fault by which the checkpoint of each of these members is found damaged once."""
    left = set(keys)

    def fault(member: Member) -> Ending | None:
        if member.checkpoint is None or member.key not in left:
            return None
        left.remove(member.key)
        return Ending.DAMAGED

    return fault


def test_trials_whose_checkpoints_are_damaged_start_again_and_no_method_is_blocked(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    keys = [f"s/{method}#{number}" for method in METHODS for number in range(8)]
    trainer = FakeTrainer(fault=once(*keys), cut=lambda segment: segment.start + 10)
    run_sweep(open_sweep(store, tmp_path / "a", ONE_BRACKET), trainer)
    run_sweep(open_sweep(other_store, tmp_path / "b", ONE_BRACKET))
    assert results(store.engine) == results(other_store.engine)
    ledger = rows(store.engine, LEDGER)
    assert all(planned == trained for _, planned, trained, _ in ledger)
    assert [row[3] for row in ledger] == [80, 80]  # eight trials each, ten steps each
    assert rows(store.engine, "SELECT DISTINCT state FROM sweeper.study") == [("active",)]


def test_a_trial_that_is_damaged_beyond_its_first_rung_has_each_rung_once(
    store: Store, tmp_path: Path
) -> None:
    run_sweep(open_sweep(store, tmp_path, ONE_BRACKET), FakeTrainer(fault=once("s/kd#0")))
    rungs = "SELECT number, step FROM sweeper.curves WHERE method = 'kd' AND number = 0 ORDER BY 2"
    assert len(rows(store.engine, rungs)) == len(set(rows(store.engine, rungs))) > 1
    _, planned, trained, wasted = rows(store.engine, LEDGER)[1]
    assert planned == trained
    assert wasted > 0


def test_a_disk_that_damages_one_trial_for_ever_ends_the_launch_and_blocks_nobody(
    store: Store, tmp_path: Path
) -> None:
    def fault(member: Member) -> Ending | None:
        return Ending.DAMAGED if member.key == "s/kd#0" and member.checkpoint else None

    trainer = FakeTrainer(fault=fault, cut=lambda segment: segment.start + 10)
    with pytest.raises(SweeperError, match="see to the disk of") as raised:
        run_sweep(open_sweep(store, tmp_path, ONE_BRACKET), trainer)
    assert f"6 times under this launch; see to the disk of {tmp_path}" in str(raised.value)
    states = rows(store.engine, "SELECT DISTINCT state FROM sweeper.study")
    assert states == [("active",)]
    flights = "SELECT count(*) FROM sweeper.segment WHERE state = 'in flight'"
    assert rows(store.engine, flights) == [(0,)]
    run_sweep(open_sweep(store, tmp_path, ONE_BRACKET))
    assert {row[1] == row[2] for row in rows(store.engine, LEDGER)} == {True}


def test_a_file_that_all_train_with_is_made_again_five_times_at_most(
    store: Store, tmp_path: Path
) -> None:
    sweep, file = open_sweep(store, tmp_path, ONE_BRACKET), tmp_path / "teacher.pt"
    for _ in range(MAX_DAMAGES):
        sweep.driver_config = replace(sweep.driver_config, teacher=file)
        sweep.make_again(file)
        assert sweep.missing_prerequisites().teacher
    with pytest.raises(SweeperError, match=f"6 times under this launch.* of {tmp_path},"):
        sweep.make_again(file)


def test_another_checkpoint_folder_than_the_sweeps_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run_sweep(open_sweep(store, tmp_path / "a"), FakeTrainer(die_at=3))
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(SweeperError, match="checkpoint-dir"):
        open_sweep(store, tmp_path / "b")


def test_a_method_whose_code_here_is_another_is_blocked(store: Store, tmp_path: Path) -> None:
    code = {"baseline": "code of baseline", "kd": "something else"}
    run_sweep(open_sweep(store, tmp_path, code_of=code.__getitem__))
    states = rows(store.engine, "SELECT method, state, complete FROM sweeper.progress ORDER BY 1")
    assert states == [("baseline", "active", 14), ("kd", "blocked", 0)]


def test_an_outcome_that_comes_after_its_method_had_failed_changes_nothing(
    store: Store, tmp_path: Path
) -> None:
    sweep = open_sweep(store, tmp_path, declaration_of(methods=("kd",)), cohort=4)
    early, late = sweep.next_segment(slots=2), sweep.next_segment()
    assert isinstance(early, Assignment)
    assert isinstance(late, Assignment)
    broken = FakeTrainer(fault=failing(Ending.FAILED))
    sweep.record(early, broken.run(early.segment, Control()))
    before = rows(store.engine, TRIALS)
    sweep.record(late, FakeTrainer().run(late.segment, Control()))
    assert rows(store.engine, TRIALS) == before
    assert not list(tmp_path.rglob("*.pt"))


def test_what_this_driver_s_workers_run_is_not_given_up_with_the_rest(
    store: Store, tmp_path: Path
) -> None:
    sweep = open_sweep(store, tmp_path, cohort=4)
    running, forgotten = sweep.next_segment(), sweep.next_segment()
    assert isinstance(running, Assignment)
    assert isinstance(forgotten, Assignment)
    outcomes = [FakeTrainer().run(a.segment, Control()) for a in (running, forgotten)]
    assert sweep.recover({running.id}) == 1
    assert {file.parent for file in tmp_path.rglob("*.pt")} == {running.segment.folder}
    for assignment, outcome in zip((running, forgotten), outcomes, strict=True):
        sweep.record(assignment, outcome)
    recorded = "SELECT sum(trained_steps), sum(wasted_steps) FROM sweeper.ledger"
    steps = 4 * (running.segment.stop - running.segment.start)
    assert rows(store.engine, recorded) == [(steps, 0)]


def test_an_outcome_of_another_segment_is_refused(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path, cohort=4)
    first, second = sweep.next_segment(), sweep.next_segment()
    assert isinstance(first, Assignment)
    assert isinstance(second, Assignment)
    with pytest.raises(ValueError, match="the outcome of"):
        sweep.record(first, FakeTrainer().run(second.segment, Control()))
