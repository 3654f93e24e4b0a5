"""Treatments against one control: differences, tests, intervals and verdicts.

Test: Welch's t with variances moderated over the treatments, Holm over the treatments. The control
keeps its own variance: it has the most seeds, and it is in every comparison, so that a control that
is noisier than the treatments would spoil them all (family error .08 instead of .03 at twice their
sd). With `paired`, which must have been declared before the seeds were trained: one-sample t of the
differences at equal seeds, their variances moderated over the treatments.

Intervals come from the same t. The thin one covers one difference with probability 1 - alpha. The
simultaneous ones cover all at once with at least that, by Bonferroni: an interval without 0
always goes with a significant p_holm. Not the other way round: Holm's later steps test at larger
levels than any plain simultaneous interval has, so a significant difference may have one with 0 in.

Where neither side's values differ at all, no noise was measured: the standard error is 0, nothing
can be tested, p is 1 and every limit infinite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sweeper.statistics.p_values import critical_t, detectable_shift, holm, two_sided_p, welch_dofs
from sweeper.statistics.power import USUAL_POWER
from sweeper.statistics.samples import (
    Moments,
    Values,
    align,
    moments,
    probability_of_improvement,
    require_enough,
    seed_correlation,
)
from sweeper.statistics.shrinkage import Floats, Prior, moderate
from sweeper.statistics.verdicts import Verdict, judge


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The values of one group; sd is the group's own, not the moderated one."""

    n: int
    mean: float
    sd: float


@dataclass(frozen=True, kw_only=True)
class Contrast(Summary):
    """A treatment (n, mean, sd: over its pairs where paired) and its difference to the control."""

    difference: float  # treatment - control
    se: float
    dof: float
    t: float
    p: float
    p_holm: float
    low: float  # of this difference alone
    high: float
    low_simultaneous: float  # of all differences together
    high_simultaneous: float
    verdict: Verdict
    improvement: float | None  # P(treatment > control); None under 20 values on either side
    detectable: float  # true difference that these seeds show with 80 % power after correction

    @property
    def largest_gain(self) -> float:
        """Largest gain that is not excluded: the upper simultaneous limit."""
        return self.high_simultaneous


@dataclass(frozen=True, kw_only=True)
class Comparisons(Mapping[str, Contrast]):
    """Every treatment's contrast by name, in the order given, and what they share."""

    contrasts: Mapping[str, Contrast]
    control: Summary
    prior: Prior
    seed_correlation: float | None
    alpha: float
    delta: float
    paired: bool
    stages: tuple[Comparisons, ...] = ()  # each on its own seeds, where there are several

    def __getitem__(self, name: str) -> Contrast:
        return self.contrasts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.contrasts)

    def __len__(self) -> int:
        return len(self.contrasts)


class _Estimates(NamedTuple):
    """Differences to the control, each (treatments,), and the prior behind their errors."""

    differences: Floats
    ses: Floats
    dofs: Floats
    prior: Prior


def compare(
    control: Values,
    treatments: Mapping[str, Values],
    *,
    alpha: float = 0.05,
    delta: float = 0.5,
    paired: bool = False,
) -> Comparisons:
    """Return each treatment's contrast with the control; a value is a seed's, or a search's mean.

    Position is seed: it matters for `paired` and for the correlation of seeds alone. NaN marks a
    seed without a value. Raises StatisticsError for no treatment, an infinite value, or fewer than
    two values (pairs, where paired) in a group.
    """
    rows = align(control, treatments)
    if paired:
        rows = np.where(np.isnan(rows[0]), np.nan, rows)
        differences = rows[1:] - rows[0]
        require_enough(dict(zip(map(repr, treatments), differences, strict=True)), "pairs")
        estimates = _of_pairs(moments(differences))
    else:
        estimates = _welch(moments(rows))
    contrasts = _contrasts(rows, estimates, alpha, delta)
    return Comparisons(
        contrasts=dict(zip(treatments, contrasts, strict=True)),
        control=_summaries(rows[:1])[0],
        prior=estimates.prior,
        seed_correlation=seed_correlation(rows[0], *rows[1:]),
        alpha=alpha,
        delta=delta,
        paired=paired,
    )


def _welch(groups: Moments) -> _Estimates:
    own = groups.variances / groups.counts
    moderated = moderate(groups.variances[1:], groups.counts[1:] - 1)
    parts = moderated.variances / groups.counts[1:]
    control_dof = float(groups.counts[0] - 1)
    return _Estimates(
        differences=groups.means[1:] - groups.means[0],
        ses=np.sqrt(own[0] + parts),
        dofs=welch_dofs((float(own[0]), parts), (control_dof, moderated.dofs)),
        prior=moderated.prior,
    )


def _of_pairs(pairs: Moments) -> _Estimates:
    moderated = moderate(pairs.variances, pairs.counts - 1)
    ses = np.sqrt(moderated.variances / pairs.counts)
    return _Estimates(pairs.means, ses, moderated.dofs, moderated.prior)


def _contrasts(rows: Floats, found: _Estimates, alpha: float, delta: float) -> list[Contrast]:
    is_noisy = found.ses > 0
    t = np.divide(found.differences, found.ses, out=np.zeros_like(found.ses), where=is_noisy)
    p = two_sided_p(t, found.dofs)
    p_holm = holm(p)
    level = alpha / len(p)
    ses = np.where(is_noisy, found.ses, np.inf)
    thin, thick = (critical_t(found.dofs, each) * ses for each in (alpha, level))
    detectable = detectable_shift(found.dofs, level, USUAL_POWER) * ses
    significant = np.where(p_holm < alpha, np.sign(found.differences), 0.0)
    return [
        Contrast(
            n=summary.n,
            mean=summary.mean,
            sd=summary.sd,
            difference=float(difference),
            se=float(found.ses[i]),
            dof=float(found.dofs[i]),
            t=float(t[i]),
            p=float(p[i]),
            p_holm=float(p_holm[i]),
            low=float(difference - thin[i]),
            high=float(difference + thin[i]),
            low_simultaneous=float(difference - thick[i]),
            high_simultaneous=float(difference + thick[i]),
            verdict=judge(float(significant[i]), float(difference + thick[i]), delta),
            improvement=probability_of_improvement(rows[0], rows[1 + i]),
            detectable=float(detectable[i]),
        )
        for i, (summary, difference) in enumerate(
            zip(_summaries(rows[1:]), found.differences, strict=True)
        )
    ]


def _summaries(rows: Floats) -> list[Summary]:
    groups = moments(rows)
    columns = (groups.counts.tolist(), groups.means.tolist(), np.sqrt(groups.variances).tolist())
    return [Summary(n=int(n), mean=mean, sd=sd) for n, mean, sd in zip(*columns, strict=True)]
