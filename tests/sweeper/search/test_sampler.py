"""Which hyperparameters are tried: shared points, pinned and seeded TPE, growing budgets."""

from __future__ import annotations

import pytest

from sweeper.search.brackets import BracketPlan
from sweeper.search.sampler import plan_bracket
from sweeper.search.space import Space, build_space
from sweeper.search.trials import PastTrial, PlannedTrial
from trainers.tasks import load_task

PLAN = BracketPlan(bracket=8, rung_steps=(20, 60), keep=(8, 3), anchors=8)
METHODS = ("baseline", "kd", "rdd")


def _space(method: str) -> Space:
    return build_space(load_task("shapes"), method)


def _decide(planned: PlannedTrial) -> PastTrial:
    value = 50.0 - abs(planned.params["learning_rate"] - 0.03) * 100
    state = "PRUNED" if planned.number % 3 else "COMPLETE"
    return PastTrial(params=planned.params, state=state, score=value, rungs={20: value - 5})


def _search(method: str, brackets: int, seed: int = 0, repeat: int = 1) -> list[PlannedTrial]:
    planned: list[PlannedTrial] = []
    for _ in range(brackets):
        history = [_decide(trial) for trial in planned]
        planned += plan_bracket(_space(method), PLAN, history, seed=seed, repeat=repeat)
    return planned


@pytest.mark.parametrize("method", METHODS)
def test_trial_0_is_what_was_published_under_the_tasks_recipe(method: str) -> None:
    first = _search(method, 1)[0]
    assert first.origin == "published"
    assert first.params["learning_rate"] == load_task("shapes").schedule.learning_rate


def test_all_methods_share_their_points_in_the_shared_dimensions() -> None:
    points = [
        [(t.params["learning_rate"], t.params["weight_decay"]) for t in _search(method, 1)]
        for method in METHODS
    ]
    assert points[0] == points[1] == points[2]


def test_the_shared_points_do_not_depend_on_the_sweeps_seed_but_on_the_repeat() -> None:
    assert _search("kd", 1, seed=1) == _search("kd", 1, seed=2)
    assert _search("kd", 1, repeat=2) != _search("kd", 1, repeat=1)


def test_after_the_first_bracket_tpe_proposes_and_repeats_itself() -> None:
    once, again = _search("kd", 3), _search("kd", 3)
    assert {trial.origin for trial in once[8:]} == {"tpe"}
    assert once == again
    assert _search("kd", 3, seed=1)[8:] != once[8:]


def test_a_larger_budget_continues_the_smaller_one() -> None:
    assert _search("rdd", 3)[:16] == _search("rdd", 2)


@pytest.mark.parametrize("method", METHODS)
def test_every_value_lies_in_its_range(method: str) -> None:
    ranges = {d.name: (d.low, d.high) for d in _space(method).dimensions}
    for trial in _search(method, 3):
        assert trial.params.keys() == ranges.keys()
        assert all(low <= trial.params[name] <= high for name, (low, high) in ranges.items())


def test_a_diverged_region_is_avoided() -> None:
    planned = _search("baseline", 1)
    history = [
        PastTrial(params=t.params, state="PRUNED", score=None, rungs={}, diverged=True)
        if t.params["learning_rate"] > 0.02
        else _decide(t)
        for t in planned
    ]
    proposed = plan_bracket(_space("baseline"), PLAN, history, seed=0, repeat=1)
    assert sum(t.params["learning_rate"] > 0.02 for t in proposed) <= 3
