"""What is said of planted effects is right as often as it claims to be."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sweeper.statistics.contrasts import compare
from sweeper.statistics.power import Design
from tests.sweeper.statistics.worlds import NOTHING, NUM_TREATMENTS, SPURIOUS, Rates, World, measure

SEARCHES = World(sizes=(9, 3), search_sd=(0.3, 0.3), confirmations=3)
WORLDS = {
    "one noise": World(),
    "many noises": World(sds=(0.25, 0.6)),
    "noisy control": World(control_sd=0.6, sds=(0.3, 0.3)),
    "quiet control": World(control_sd=0.2),
    "correlated seeds": World(correlation=0.2),  # at 0.5 unpaired intervals hold 97.6 percent
    "searches": SEARCHES,
    "searches of many noises": replace(SEARCHES, sds=(0.25, 0.6), search_sd=(0.2, 0.5)),
}
SOME = 200
MANY = pytest.param(6000, marks=pytest.mark.slow)
in_every_world = pytest.mark.parametrize("name", WORLDS)
on_some_and_many = pytest.mark.parametrize("data_sets", [SOME, MANY])


@cache
def planted(name: str, data_sets: int) -> Rates:
    return measure(WORLDS[name], data_sets)


@cache
def nothing(name: str, data_sets: int) -> Rates:
    return measure(replace(WORLDS[name], effects=NOTHING), data_sets, seed=1)


def chance(rate: float, data_sets: int) -> float:
    """Return twice the standard error of a rate over so many data sets; 0 for the many."""
    return 0.0 if data_sets > SOME else 2 * float(np.sqrt(rate * (1 - rate) / data_sets))


@in_every_world
@on_some_and_many
def test_95_percent_intervals_hold_the_truth_in_93_to_97_percent(name: str, data_sets: int) -> None:
    slack = 0.005 if data_sets == SOME else 0.0  # a contrast shares its control with 26 others
    assert 0.93 - slack <= planted(name, data_sets).covered <= 0.97 + slack


@in_every_world
@on_some_and_many
def test_simultaneous_intervals_all_hold_in_94_percent(name: str, data_sets: int) -> None:
    assert planted(name, data_sets).all_covered >= 0.94 - chance(0.06, data_sets)


@in_every_world
@on_some_and_many
def test_where_nothing_differs_something_is_found_in_under_6_percent(
    name: str, data_sets: int
) -> None:
    assert nothing(name, data_sets).family_error < 0.06 + chance(0.06, data_sets)


@in_every_world
@on_some_and_many
def test_a_gain_above_delta_is_denied_in_under_5_percent(name: str, data_sets: int) -> None:
    assert planted(name, data_sets).missed_gain < 0.05


@on_some_and_many
@pytest.mark.parametrize(("gain", "power"), [(0.3, 0.13), (0.5, 0.63), (1.0, 1.0)])
def test_gains_are_found_as_often_as_was_promised(
    gain: float, power: float, data_sets: int
) -> None:
    design = Design(sds=(0.4, 0.4), sizes=(30, 10), num_comparisons=NUM_TREATMENTS)
    assert planted("one noise", data_sets).found[gain] == pytest.approx(power, abs=0.05)
    assert design.power(gain) == pytest.approx(power, abs=0.05)


def test_one_search_a_method_finds_what_is_not_there() -> None:
    """Ten seeds of one search know nothing of the next search: why such a claim needs three."""
    random = np.random.default_rng(0)
    luck = random.normal(0, 0.3, (100, NUM_TREATMENTS)) - random.normal(0, 0.3, (100, 1))
    worlds = [World(effects=tuple(each)) for each in luck]
    found = [compare(*world.draw(random)).values() for world in worlds]
    assert np.mean([any(c.verdict in SPURIOUS for c in contrasts) for contrasts in found]) > 0.14
