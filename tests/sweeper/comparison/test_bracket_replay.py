"""Brackets run once more: what happened under their own plan, what a stricter one had found."""

from __future__ import annotations

import numpy as np
import pytest

from sweeper.comparison.bracket_replay import AXES, replay
from sweeper.search.brackets import BracketPlan
from tests.sweeper.comparison.finished import PLAN, carry_out, noise, shuffled

ENDED = {
    ("kd", 1): ("diverged", 50),
    ("kd", 5): ("diverged", 4),
    ("kd", 9): ("failed", 20),
    ("kd", 12): ("failed", 0),
}
STRICT = BracketPlan(bracket=8, rung_steps=(10, 30, 90), keep=(8, 2, 1), anchors=4)


@pytest.mark.parametrize("seed", range(5))
def test_under_its_own_plan_a_search_repeats_itself(seed: int) -> None:
    found = carry_out(noise(seed), ("kd",), brackets=3, ended=ENDED)
    [brackets] = replay(shuffled(found.trials), shuffled(found.rungs), PLAN)["kd"]
    complete = found.trials["score"].where(found.trials["state"] == "COMPLETE", -np.inf)
    assert brackets.values.ravel().tolist() == complete.tolist()
    for axis, column in (("steps", "trained_steps"), ("seconds", "device_seconds")):
        spent = found.trials.groupby("bracket")[column].sum()
        assert brackets.lengths[axis].tolist() == pytest.approx(spent.tolist())


@pytest.mark.parametrize("seed", range(5))
def test_under_a_stricter_plan_it_is_what_that_plan_had_found(seed: int) -> None:
    """A first bracket's judged places under the stricter plan are 1 and 0."""
    lenient = carry_out(noise(seed), ("kd",), ended=ENDED)
    strict = carry_out(noise(seed), ("kd",), ended=ENDED, plan=STRICT)
    [replayed] = replay(lenient.trials, lenient.rungs, STRICT)["kd"]
    [own] = replay(strict.trials, strict.rungs, STRICT)["kd"]
    assert replayed.values.tolist() == own.values.tolist()
    for axis in AXES:
        assert np.allclose(replayed.offsets[axis], own.offsets[axis])


def test_a_hand_made_bracket_arrives_rung_by_rung() -> None:
    plan = BracketPlan(bracket=4, rung_steps=(10, 30), keep=(4, 1), anchors=0)
    found = carry_out(lambda _, n, __: float(n), ("kd",), brackets=1, plan=plan)
    [brackets] = replay(found.trials, found.rungs, plan)["kd"]
    assert brackets.values.tolist() == [[-np.inf, -np.inf, -np.inf, 3.0]]
    assert brackets.offsets["steps"][0, 3] == 4 * 10 + 20
    assert brackets.lengths["steps"].tolist() == [60.0]
    assert brackets.offsets["seconds"][0, 3] == pytest.approx(12.0)
    assert brackets.offsets["trials"].tolist() == [[1, 2, 3, 4]]


def test_values_arrive_in_order_and_within_their_bracket() -> None:
    found = carry_out(noise(), brackets=4, repeats=2, ended=ENDED)
    for searches in replay(found.trials, found.rungs, PLAN).values():
        for axis in AXES:
            for search in searches:
                assert (np.diff(search.offsets[axis], axis=1) >= 0).all()
                assert (search.offsets[axis] <= search.lengths[axis][:, None]).all()


def test_an_undecided_bracket_is_not_replayed() -> None:
    found = carry_out(noise(), brackets=2, ended={("kd", 9): ("undecided", 5)})
    searches = replay(found.trials, found.rungs, PLAN)
    assert {method: len(own[0].values) for method, own in searches.items()} == {
        "baseline": 2,
        "kd": 1,
    }


def test_searches_are_replayed_apart() -> None:
    found = carry_out(noise(), repeats=3)
    assert [len(own) for own in replay(found.trials, found.rungs, PLAN).values()] == [3, 3]
