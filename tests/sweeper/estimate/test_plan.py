"""What a plan is made of: a launch from its start, or what is left of a stored sweep."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from sweeper.core.errors import PlanError
from sweeper.estimate.forecast import Repetition, finished
from sweeper.estimate.plan import SweepPlan, of_request, of_sweep
from sweeper.estimate.simulation import forecast
from sweeper.estimate.step_times import TrainingSite
from sweeper.scheduler.launch_request import Request
from sweeper.store.database import Store
from sweeper.store.lookup import find_sweep
from tests.sweeper.confirmed import confirm, declare_axes_of
from tests.sweeper.recorded import DEVICE
from tests.sweeper.synthetic import leave_in_flight
from trainers.tasks import load_task

VALUES = {"baseline": [40.0, 42.0], "kd": [41.0, 43.0]}


def left_of(engine: Engine, name: str = "demo", **seeds: int) -> SweepPlan:
    with engine.connect() as connection:
        row = find_sweep(connection, name)
    return of_sweep(row, TrainingSite(engine=engine), **seeds)


def test_a_launch_is_planned_from_its_start_with_the_times_of_the_log(
    demo_engine: Engine,
) -> None:
    request = Request(
        task=load_task("shapes"), sweep="other", methods=("baseline", "kd"), budget=16, repeats=2
    )
    found = of_request(request, TrainingSite(engine=demo_engine), Repetition.of(2, None, None))
    assert (found.device, found.cohort, found.rivals) == (DEVICE, 8, 1)
    assert [search.group for search in found.searches] == [1, 2, 3, 4, 5, 6, 1, 2]
    assert {search.brackets for search in found.searches} == {range(2)}
    assert found.step_times["kd"].alone == pytest.approx(0.1)
    assert forecast(found.searches, workers=1, cohort=8).steps == 8 * 1010


def test_of_a_finished_sweep_its_confirmations_are_left(demo_engine: Engine) -> None:
    found = left_of(demo_engine)
    assert finished(found.searches) == 0
    assert (found.rivals, found.setup.steps) == (2, 0)
    assert forecast(found.confirmations, workers=1, cohort=8).trials == 2 * 30 + 2 * 2 * 10
    fewer = left_of(demo_engine, seeds=2, baseline_seeds=3)
    assert forecast(fewer.confirmations, workers=1, cohort=8).trials == 2 * 3 + 2 * 2 * 2


def test_of_a_trial_under_way_the_rest_is_left(searched: Store) -> None:
    leave_in_flight(searched.engine, 2)
    found = forecast(left_of(searched.engine).searches, workers=1, cohort=8)
    assert (found.trials, found.steps) == (1, 80 - 26)


def test_of_a_confirmation_and_of_equal_cost_what_was_declared_is_left(searched: Store) -> None:
    confirm(searched.engine, VALUES)
    assert left_of(searched.engine).confirmations == []
    declare_axes_of(searched.engine, {"baseline": 1.0, "kd": 1.0})
    found = left_of(searched.engine)
    assert forecast(found.confirmations, workers=1, cohort=8).steps == 2 * 2 * (120 + 160)
    assert (found.repetition.seeds.method, found.repetition.seeds.baseline) == (2, 2)
    assert found.noise is not None


def test_what_does_not_go_on_is_not_planned(searched: Store) -> None:
    with searched.engine.begin() as changing:
        changing.execute(text("UPDATE sweeper.study SET state = 'blocked' WHERE method = 'rdd'"))
    assert set(left_of(searched.engine).step_times) == {"baseline", "kd"}
    with searched.engine.begin() as changing:
        changing.execute(text("UPDATE sweeper.study SET state = 'cancelled'"))
    with pytest.raises(PlanError, match="none of its methods goes on"):
        left_of(searched.engine)


def test_a_confirmation_is_not_planned_by_itself(searched: Store) -> None:
    confirm(searched.engine, VALUES)
    with pytest.raises(PlanError, match="name the sweep it belongs to: demo"):
        left_of(searched.engine, "demo:confirm-1")
