"""Student's t for many differences at once: degrees of freedom, p values, limits, Holm's steps."""

from __future__ import annotations

import numpy as np
from scipy.special import nctdtrinc, stdtr, stdtrit

from sweeper.statistics.shrinkage import Floats


def satterthwaite(parts: Floats, dofs: Floats, most: float) -> Floats:
    """Return the degrees of freedom of sums of variances, at most `most`.

    `parts` holds the summands (terms, differences), `dofs` the degrees of freedom of each. A sum
    of 0 has those of its least known term.
    """
    totals = parts.sum(0)
    weights = np.square(np.divide(parts, totals, out=np.ones_like(parts), where=totals > 0))
    return np.asarray(np.minimum(1 / (weights / dofs).sum(0), most))


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
