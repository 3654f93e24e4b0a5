"""Student's t for many differences at once: degrees of freedom, p values, limits, Holm's steps."""

from __future__ import annotations

import numpy as np
from scipy.special import nctdtrinc, stdtr, stdtrit

from sweeper.statistics.shrinkage import Floats


def welch_dofs(parts: tuple[float, Floats], dofs: tuple[float, Floats]) -> Floats:
    """Return the degrees of freedom of differences to a control, at most a little too few.

    `parts` are the squared standard errors of the control's mean and of the treatments' means,
    `dofs` what is behind each. Satterthwaite's formula squares the share that each part has in
    their sum, as if shares were known. Among many treatments those look significant whose variance
    came out too small, and with it their share; so a treatment's share enters as it is, which is
    the rule of Cochran and Cox. The control's, the same in all comparisons, is squared.
    """
    totals = parts[0] + parts[1]
    share = np.divide(parts[1], totals, out=np.ones_like(totals), where=totals > 0)
    return np.asarray(1 / ((1 - share) ** 2 / dofs[0] + share / dofs[1]))


def two_sided_p(t: Floats, dofs: Floats) -> Floats:
    """Return the probability of a t at least as far from 0 where nothing differs."""
    return np.asarray(2 * stdtr(dofs, -np.abs(t)))


def critical_t(dofs: Floats, level: float) -> Floats:
    """Return the t that is passed on either side with probability `level` in all."""
    return np.asarray(stdtrit(dofs, 1 - level / 2))


def holm(p: Floats) -> Floats:
    """Return p values adjusted for their number by Holm's step-down procedure."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def detectable_shift(dofs: Floats, level: float, power: float) -> Floats:
    """Return the true difference, in standard errors, that is significant with that power.

    The other tail of the two-sided test is left out: at a power above one half it adds nothing.
    """
    return np.asarray(nctdtrinc(dofs, 1 - power, critical_t(dofs, level)))
