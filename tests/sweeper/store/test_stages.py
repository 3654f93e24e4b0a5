"""Confirmations in the log: which trial is best, what is planned of it, on which terms."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, text

from sweeper.search.protocol import plan_of
from sweeper.store import log, stages
from sweeper.store.lookup import find_sweep
from tests.sweeper.synthetic import BEST, params_of

KD = 2  # a study
TERMS = {"delta": 0.5}


def kd(connection: Connection) -> log.Study:
    return log.studies(connection, 1)[1]


def stage_of(connection: Connection) -> Row[Any]:
    return stages.add_stage(connection, find_sweep(connection, "demo"), 1, TERMS)


def test_the_best_trial_is_the_earlier_of_two_equal_ones_within_the_budget(
    connection: Connection,
) -> None:
    assert stages.best_trial(connection, KD, 16) == BEST
    for number in (4, 10, 12):
        log.change_trial(connection, (KD, number), score=99.0)
    assert stages.best_trial(connection, KD, 16) == 4
    log.change_trial(connection, (KD, 4), state="PRUNED")
    assert stages.best_trial(connection, KD, 16) == 10
    assert stages.best_trial(connection, KD, 8) == BEST


def test_a_search_without_a_complete_trial_has_no_best(connection: Connection) -> None:
    connection.execute(text("UPDATE sweeper.trial SET state = 'PRUNED' WHERE study_id = 2"))
    assert stages.best_trial(connection, KD, 16) is None


def test_decided_trials_are_counted_within_the_budget(connection: Connection) -> None:
    log.change_trial(connection, (KD, 15), state="RUNNING")
    assert stages.decided(connection, [1, KD], 16) == {1: 16, KD: 15}
    assert stages.decided(connection, [KD], 8) == {KD: 8}


def test_published_values_that_are_best_are_confirmed_once(connection: Connection) -> None:
    search = kd(connection)
    assert stages.configurations(search, 3) == {"published": 0, "tuned": 3}
    assert stages.configurations(search, 0) == {"published": 0}


def test_a_later_search_confirms_its_tuned_values_alone(connection: Connection) -> None:
    later = log.Study(**{**vars(kd(connection)), "repeat": 2})
    assert stages.configurations(later, 3) == {"tuned": 3}
    assert stages.configurations(later, 0) == {"tuned": 0}


def test_a_stage_keeps_its_sweeps_protocol_but_trains_all_to_the_end(
    connection: Connection,
) -> None:
    stage, parent = stage_of(connection), find_sweep(connection, "demo")
    assert (stage.name, stage.confirms, stage.stage) == ("demo:confirm-1", parent.id, 1)
    assert stage.protocol["confirmation"] == TERMS
    plan = plan_of(stage.protocol)
    assert (plan.rung_steps, plan.is_anchor(500)) == ((80,), True)
    own = {"plan", "confirmation"}
    assert {k: v for k, v in stage.protocol.items() if k not in own} == {
        k: v for k, v in parent.protocol.items() if k not in own
    }


def test_equal_cost_stands_beside_its_stage_with_a_longer_schedule(
    connection: Connection,
) -> None:
    stage = stage_of(connection)
    part = stages.add_equal_cost(connection, stage, "training-1.5x", {"length": 1.5}, 1.5)
    assert (part.name, part.confirms, part.stage) == ("demo:training-1.5x", stage.id, None)
    assert part.protocol["task"]["schedule"]["steps"] == 120
    assert plan_of(part.protocol).rung_steps == (120,)


def test_confirmations_are_planned_seed_by_seed(connection: Connection) -> None:
    stage, search = stage_of(connection), kd(connection)
    stages.add_confirmations(connection, stage, search, {"published": 0, "tuned": 3}, [11, 12])
    [copy] = log.studies(connection, stage.id)
    assert (copy.method, copy.budget, copy.space) == ("kd", 4, search.space)
    planned = log.open_trials(connection, [copy.id])
    assert [trial.seed for trial in planned] == [11, 11, 12, 12]
    assert [dict(trial.params) for trial in planned] == [params_of("kd", n) for n in (0, 3, 0, 3)]


def test_what_was_blocked_in_a_stage_goes_on(connection: Connection) -> None:
    stage = stage_of(connection)
    stages.add_confirmations(connection, stage, kd(connection), {"published": 0}, [11])
    [copy] = log.studies(connection, stage.id)
    log.block_study(connection, copy.id, "x")
    stages.unblock(connection, stage.id)
    assert log.studies(connection, stage.id)[0].state == "active"
