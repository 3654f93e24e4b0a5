"""Plans played through: hand-computed schedules, and the state machine's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.core.errors import PlanError
from sweeper.estimate.forecast import Search, Standing, StepTime, finished, width
from sweeper.estimate.simulation import forecast
from sweeper.search.brackets import BracketPlan
from sweeper.store.database import Store
from tests.sweeper.driving import METHODS, UNDISTURBED_STEPS, open_sweep, rows, run_sweep
from trainers.tasks import load_task

PLAN = BracketPlan(bracket=4, rung_steps=(10, 30), keep=(4, 2), anchors=0)
ANCHORED = BracketPlan(bracket=4, rung_steps=(10, 30), keep=(4, 2), anchors=2)
SECOND = StepTime(own=1.0)  # a step


def search(
    step_time: StepTime = SECOND, plan: BracketPlan = PLAN, brackets: int = 1, group: int = 1
) -> Search:
    return Search(step_time=step_time, plan=plan, brackets=range(brackets), group=group)


@pytest.mark.parametrize(
    ("workers", "wall"),
    [
        (1, 4 * 10 + 2 * 20),  # two cohorts after another
        (2, 2 * 10 + 20),
        (3, 2 * 10 + 20),  # 4 on 3 workers: one has two
        (4, 10 + 20),
        (100, 10 + 20),  # no more than 4 can train side by side
    ],
)
def test_the_width_of_a_bracket_bounds_the_speed_up(workers: int, wall: float) -> None:
    found = forecast([search()], workers=workers, cohort=8)
    assert (found.wall_seconds, found.device_seconds) == (wall, 80)
    assert (found.trials, found.steps, found.side_by_side) == (4, 80, 4)


def test_the_brackets_of_a_search_come_one_after_another() -> None:
    assert forecast([search(brackets=3)], workers=100, cohort=8).wall_seconds == 3 * 30


@pytest.mark.parametrize(("workers", "wall"), [(1, 160), (4, 2 * 10 + 20), (8, 10 + 20)])
def test_searches_train_side_by_side(workers: int, wall: float) -> None:
    found = forecast([search(), search()], workers=workers, cohort=8)
    assert (found.wall_seconds, found.device_seconds) == (wall, 160)


def test_what_a_cohort_shares_is_paid_once_and_by_everybody_alone() -> None:
    taught = search(StepTime(own=1.0, common=2.0))
    assert forecast([taught], workers=1, cohort=8).device_seconds == 10 * (4 + 2) + 20 * (2 + 2)
    spread = forecast([taught], workers=4, cohort=8)
    assert (spread.device_seconds, spread.wall_seconds) == (4 * 30 + 2 * 60, 30 + 60)


def test_a_cohort_is_no_larger_than_is_allowed() -> None:
    taught = search(StepTime(own=1.0, common=2.0))
    assert forecast([taught], workers=1, cohort=2).device_seconds == 2 * 10 * 4 + 20 * 4


def test_another_seed_is_another_cohort() -> None:
    two = [search(StepTime(own=1.0, common=2.0), group=group) for group in (1, 2)]
    assert forecast(two, workers=1, cohort=8).device_seconds == 2 * (60 + 80)


def test_every_trial_is_evaluated_at_every_rung_it_reaches() -> None:
    found = forecast([search(StepTime(own=1.0, ending=5.0))], workers=4, cohort=8)
    assert (found.wall_seconds, found.device_seconds) == (15 + 25, 80 + (4 + 2) * 5)


def test_anchors_do_not_wait_for_the_judged() -> None:
    """On 2 workers 2 anchors and 2 judged: the anchors' 20 steps begin beside those of the one."""
    found = forecast([search(plan=ANCHORED)], workers=4, cohort=1)
    assert (found.wall_seconds, found.steps) == (30, 2 * 30 + 2 * 10 + 20)


def test_a_long_segment_is_cut_where_a_worker_saves() -> None:
    slow = search(
        StepTime(own=100.0), plan=BracketPlan(bracket=1, rung_steps=(10,), keep=(1,), anchors=0)
    )
    found = forecast([slow], workers=1, cohort=8)
    assert (found.segments, found.steps, found.wall_seconds) == (4, 10, 1000)


def test_of_a_bracket_under_way_only_the_rest_counts() -> None:
    waiting, behind = Standing(True, 10, 0), Standing(True, 4, 0)
    half = Search(
        step_time=SECOND,
        plan=PLAN,
        brackets=range(1, 2),
        open={waiting: 3, behind: 1},
        open_bracket=0,
    )
    found = forecast([half], workers=1, cohort=8)
    assert (found.trials, found.steps) == (4 + 4, 6 + 2 * 20 + 80)
    assert (finished([half]), width([half])) == (2 + 2, 4)


def test_an_anchor_under_way_goes_on_from_its_step() -> None:
    left = Search(
        step_time=SECOND, plan=ANCHORED, brackets=range(0), open={Standing(False, 12, 1): 1}
    )
    assert forecast([left], workers=1, cohort=8).steps == 18
    assert finished([left]) == 1


def test_nothing_left_takes_nothing() -> None:
    found = forecast([search(brackets=0)], workers=2, cohort=8)
    assert (found.trials, found.wall_seconds) == (0, 0)


@pytest.mark.parametrize(("workers", "cohort"), [(0, 8), (1, 0)])
def test_fewer_than_one_worker_is_refused(workers: int, cohort: int) -> None:
    with pytest.raises(PlanError, match="at least 1"):
        forecast([search()], workers=workers, cohort=cohort)


@pytest.mark.parametrize("cohort", [1, 3, 8])
def test_the_state_machine_issues_what_was_foreseen(
    store: Store, tmp_path: Path, cohort: int
) -> None:
    run_sweep(open_sweep(store, tmp_path, cohort=cohort))
    plan = BracketPlan.of(load_task("shapes"))
    quick = StepTime(own=0.001)  # no segment is cut
    planned = [search(quick, plan, brackets=24 // plan.bracket) for _ in METHODS]
    found = forecast(planned, workers=1, cohort=cohort)
    assert found.steps == len(METHODS) * UNDISTURBED_STEPS
    issued = rows(store.engine, "SELECT start_step, stop_step FROM sweeper.segment")
    assert found.segments == len(issued)
