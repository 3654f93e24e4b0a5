"""How many seeds show what: against the noncentral t of another implementation."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from sweeper.statistics.power import Design

DESIGN = Design(sds=(0.4, 0.4), sizes=(30, 10), num_comparisons=27)


@pytest.mark.parametrize("gain", [0.2, 0.5, -0.5, 0.9])
def test_power_is_that_of_a_noncentral_t(gain: float) -> None:
    critical = stats.t.isf(0.05 / 27 / 2, DESIGN.dof)
    shift = gain / (0.4 * math.sqrt(1 / 30 + 1 / 10))
    tails = stats.nct.sf(critical, DESIGN.dof, shift), stats.nct.cdf(-critical, DESIGN.dof, shift)
    assert DESIGN.power(gain) == pytest.approx(sum(tails), abs=1e-6)


def test_without_a_difference_power_is_the_level() -> None:
    assert DESIGN.power(0.0) == pytest.approx(0.05 / 27)


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_the_detectable_difference_is_found_with_that_power(power: float) -> None:
    assert DESIGN.power(DESIGN.detectable(power)) == pytest.approx(power, abs=1e-5)


@pytest.mark.parametrize(
    "worse",
    [
        Design(sds=(0.4, 0.4), sizes=(30, 5), num_comparisons=27),
        Design(sds=(0.4, 0.4), sizes=(10, 10), num_comparisons=27),
        Design(sds=(0.4, 0.8), sizes=(30, 10), num_comparisons=27),
        Design(sds=(0.4, 0.4), sizes=(30, 10), num_comparisons=100),
        Design(sds=(0.4, 0.4), sizes=(30, 10), num_comparisons=27, prior_dof=0.0),
        Design(sds=(0.4, 0.4), sizes=(30, 10), num_comparisons=27, alpha=0.025),
    ],
)
def test_less_to_go_by_shows_less(worse: Design) -> None:
    assert worse.power(0.5) < DESIGN.power(0.5)
    assert worse.detectable() > DESIGN.detectable()


def test_few_treatments_share_no_noise() -> None:
    pair = Design(sds=(0.4, 0.4), sizes=(30, 10), num_comparisons=2)
    assert pair.dof < 29 + 9
