"""How far a sweep is: what is decided, left, in flight, and what must be said of it."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, Engine, text

from sweeper.core.errors import SweeperError
from sweeper.scheduler.lease import Lease, acquire
from sweeper.scheduler.progress import SweepOverview, read_overviews, read_progress
from sweeper.search.brackets import BracketPlan
from sweeper.store.database import Store
from tests.sweeper.synthetic import BEST, COMMAND, leave_in_flight, score_of
from trainers.tasks import load_task

PLAN = BracketPlan.of(load_task("shapes"))
ALLOWED = 1010  # steps of one search's two brackets
TRAINED = 950  # of which so many were trained: some trials end by themselves


def overview(connection: Connection) -> SweepOverview:
    [found] = read_overviews(connection, "demo")
    return found


def test_a_sweep_whose_trials_are_all_decided_is_done(demo_engine: Engine) -> None:
    found = read_progress(demo_engine, 1, PLAN)
    assert (found.decided, found.budget, found.is_done, found.left_steps) == (48, 48, True, 0)
    assert (found.total_steps, found.trained_steps) == (3 * ALLOWED, 3 * TRAINED)
    kd = found.studies[1]
    assert (kd.complete, kd.pruned, kd.diverged, kd.failed) == (10, 4, 1, 1)
    assert (kd.best_score, kd.is_over) == (score_of("kd", BEST, 80), True)


def test_steps_in_flight_count_as_they_were_reported(searched: Store) -> None:
    leave_in_flight(searched.engine, 2)
    found = read_progress(searched.engine, 1, PLAN)
    assert (found.decided, found.is_done, found.segment_steps) == (47, False, 33 - 26)
    assert found.left_steps == 3 * (ALLOWED - TRAINED) - 7


def test_a_study_that_is_not_active_has_nothing_left(searched: Store) -> None:
    leave_in_flight(searched.engine, 2)
    with searched.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.study SET state = 'blocked' WHERE id = 2"))
    found = read_progress(searched.engine, 1, PLAN)
    assert found.is_done
    assert not found.studies[1].is_over  # a relaunch goes on with it
    assert found.total_steps == 2 * ALLOWED + TRAINED


def test_a_sweep_is_driven_paused_interrupted_or_done(searched: Store) -> None:
    def state() -> str:
        with searched.engine.connect() as connection:
            return overview(connection).state

    assert state() == "done"
    leave_in_flight(searched.engine, 2)
    assert state() == "interrupted"
    with searched.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.sweep SET paused_by = 'me'"))
    assert state() == "paused"
    lease = acquire(searched.engine, 1)
    assert isinstance(lease, Lease)
    assert state() == "driven"
    lease.release(searched.engine)
    assert state() == "paused"


def test_an_overview_has_the_last_command_and_where_everything_lies(
    connection: Connection,
) -> None:
    found = overview(connection)
    assert (found.task, found.last_command, found.driver) == ("shapes", COMMAND, None)
    assert found.checkpoints == ("/checkpoints/demo",)
    assert found.logs == ("/checkpoints/demo/logs/sweep.jsonl",)
    assert [study.best_trial for study in found.studies] == [BEST] * 3
    assert {study.planned_steps for study in found.studies} == {ALLOWED}
    assert (found.in_flight, found.warnings) == ((), ())


def test_a_segment_in_flight_names_its_trials(searched: Store) -> None:
    leave_in_flight(searched.engine, 2)
    with searched.engine.connect() as connection:
        [segment] = overview(connection).in_flight
    assert segment.trials == ("demo/kd#15",)
    assert (segment.start_step, segment.at_step, segment.stop_step) == (26, 33, 80)
    assert min(segment.running_s, segment.silent_s) >= 0


def test_what_must_be_said_of_a_sweep_is_a_warning(connection: Connection) -> None:
    connection.execute(text("DELETE FROM sweeper.study WHERE method = 'baseline'"))
    other = "UPDATE sweeper.segment SET device_name = 'B' WHERE id = 5"
    connection.execute(text(other))
    missing, mixed = overview(connection).warnings
    assert "`sweeper launch --sweep demo --task shapes --method baseline --budget 16`" in missing
    assert mixed.startswith("bracket 0 of kd was judged on different devices (B, processor A)")


def test_an_unknown_sweep_is_refused(connection: Connection) -> None:
    with pytest.raises(SweeperError, match="no sweep 'dmo'; did you mean 'demo'"):
        read_overviews(connection, "dmo")
