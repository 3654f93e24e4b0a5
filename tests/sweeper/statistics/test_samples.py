"""Values of seeds side by side: what they have in common, and how often one side wins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweeper.statistics.samples import probability_of_improvement, seed_correlation

RANDOM = np.random.default_rng(4)
CONTROL, OTHER = RANDOM.normal(70, 1, 30), RANDOM.normal(70, 1, 10)


def test_correlation_is_over_the_seeds_that_both_have() -> None:
    expected = np.corrcoef(CONTROL[:10], OTHER)[0, 1]
    assert seed_correlation(CONTROL, OTHER) == pytest.approx(expected)
    assert seed_correlation(CONTROL, [*OTHER, math.nan]) == pytest.approx(expected)


def test_correlation_is_pooled_over_treatments() -> None:
    shared = RANDOM.normal(size=400)
    control, *others = (shared + RANDOM.normal(size=400) + level for level in (70, 71, 60))
    assert seed_correlation(control, *others) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("treatment", [[1.0, 2.0], [], [3.0] * 10, [1.0, math.nan, 2.0]])
def test_too_little_in_common_has_no_correlation(treatment: list[float]) -> None:
    assert seed_correlation(CONTROL, treatment) is None


def test_ties_count_half() -> None:
    control = [1.0] * 10 + [2.0] * 10
    assert probability_of_improvement(control, control) == 0.5
    assert probability_of_improvement(control, [2.0] * 20) == 0.75


@pytest.mark.parametrize("sizes", [(19, 30), (30, 19)])
def test_improvement_wants_twenty_a_side(sizes: tuple[int, int]) -> None:
    control, treatment = (np.arange(size, dtype=float) for size in sizes)
    assert probability_of_improvement(control, treatment) is None
