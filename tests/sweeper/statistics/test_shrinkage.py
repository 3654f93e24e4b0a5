"""Moderated variances: limma's fit, and what happens where it has nothing to stand on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from sweeper.statistics.shrinkage import Prior, fit_prior, moderate, trigamma_inverse

VARIANCES = np.array([0.02, 0.9, 0.16, 0.3, 0.07, 0.45])
DOFS = np.array([29.0, 9.0, 9.0, 4.0, 9.0, 2.0])


def solve_moments(variances: list[float], dofs: list[float]) -> tuple[float, float]:
    """Return d0 and s0^2 for which the mean and variance of log s^2 are as observed."""
    logs = [
        math.log(v) - float(digamma(d / 2)) + math.log(d / 2)
        for v, d in zip(variances, dofs, strict=True)
    ]
    mean = sum(logs) / len(logs)
    spread = sum((each - mean) ** 2 for each in logs) / (len(logs) - 1)
    noise = sum(float(polygamma(1, d / 2)) for d in dofs) / len(dofs)
    d0 = brentq(lambda d0: float(polygamma(1, d0 / 2)) - (spread - noise), 1e-3, 1e6)
    return d0, math.exp(mean + float(digamma(d0 / 2)) - math.log(d0 / 2))


@pytest.mark.parametrize("value", [1e-9, 1e-3, 0.2, 1.0, 30.0, 1e6, 1e9])
def test_the_inverse_inverts_the_trigamma_function(value: float) -> None:
    assert float(polygamma(1, trigamma_inverse(value))) == pytest.approx(value, rel=1e-6)


def test_without_caution_the_prior_solves_the_equations_of_moments() -> None:
    prior = fit_prior(VARIANCES, DOFS, caution=0.0)
    expected = solve_moments(VARIANCES.tolist(), DOFS.tolist())
    assert (prior.dof, prior.variance) == pytest.approx(expected)


@pytest.mark.parametrize(("d0", "s0"), [(4.0, 0.2), (30.0, 1.5)])
def test_the_fit_finds_the_prior_that_variances_were_drawn_from(d0: float, s0: float) -> None:
    drawn = s0 * np.random.default_rng(0).f(9, d0, 40_000)
    prior = fit_prior(drawn, np.full(40_000, 9.0), caution=0.0)
    assert (prior.dof, prior.variance) == pytest.approx((d0, s0), rel=0.05)


def test_variances_that_differ_less_than_chance_are_pooled_by_their_freedom() -> None:
    variances, dofs = np.array([1.0, 1.1, 0.9, 1.0]), np.array([30.0, 10.0, 10.0, 10.0])
    prior = fit_prior(variances, dofs, caution=0.0)
    assert (prior.dof, prior.variance) == (math.inf, pytest.approx(1.0))
    moderated = moderate(variances, dofs)
    assert moderated.dofs.max() <= dofs.sum()


def test_caution_weakens_the_prior() -> None:
    strong, weak = (fit_prior(VARIANCES, DOFS, caution=c) for c in (0.0, 1.0))
    assert 0 < weak.dof < strong.dof


def test_posteriors_weigh_prior_and_own_variance_by_their_freedom() -> None:
    moderated = moderate(VARIANCES, DOFS)
    d0, s0 = moderated.prior.dof, moderated.prior.variance
    for own, dof, shrunk in zip(VARIANCES, DOFS, moderated.variances, strict=True):
        assert shrunk == pytest.approx((d0 * s0 + dof * own) / (d0 + dof))
    assert moderated.dofs == pytest.approx(np.minimum(d0 + DOFS, DOFS.sum()))


@pytest.mark.parametrize("variances", [[0.3], [0.3, 4.0], [0.0, 0.3, 4.0]])
def test_too_few_noisy_groups_are_left_as_they_are(variances: list[float]) -> None:
    own, dofs = np.array(variances), np.full(len(variances), 9.0)
    moderated = moderate(own, dofs)
    assert moderated.prior == Prior(dof=0.0, variance=0.0)
    assert moderated.variances.tolist() == variances
    assert moderated.dofs.tolist() == dofs.tolist()


def test_a_group_without_noise_borrows_from_the_others_and_changes_nothing_for_them() -> None:
    moderated = moderate(np.append(VARIANCES, 0.0), np.append(DOFS, 9.0))
    assert moderated.prior == moderate(VARIANCES, DOFS).prior
    assert 0 < moderated.variances[-1] < moderated.prior.variance
