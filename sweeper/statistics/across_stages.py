"""More seeds, declared as a further stage: what may be concluded from all stages together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sweeper.statistics.contrasts import Comparisons, Contrast, compare
from sweeper.statistics.errors import StatisticsError
from sweeper.statistics.samples import Values
from sweeper.statistics.shrinkage import Floats
from sweeper.statistics.verdicts import judge

Stage = tuple[Values, Mapping[str, Values]]  # the control's values and each treatment's


def across_stages(
    stages: Sequence[Stage],
    *,
    alpha: float = 0.05,
    delta: float = 0.5,
    paired: bool = False,
    planned: int | None = None,
) -> Comparisons:
    """Return the contrasts over all stages; with a single stage those of `compare`.

    Alpha is split equally over the stages, and each is tested on its own fresh seeds alone, so that
    looking at one before the next is declared costs nothing. `planned` is their number where more
    were declared than are given: declare it before the first is seen, otherwise that one is first
    judged at the whole alpha and the error over both looks is up to 1.5 alpha.

    A verdict is significant where it is at either stage (not where two contradict each other).
    p and p_holm are the smaller ones of the stages, times their number; the smallest `detectable`
    is given. All else (mean, difference, se, t, intervals, and so `no gain above delta`) comes from
    the seeds of all stages pooled. A treatment may be absent from some stages.
    """
    if not stages:
        raise StatisticsError("0 stages were given; at least one is needed: run `sweeper confirm`")
    number = max(len(stages), planned or 1)
    pooled = compare(*_pooled(stages), alpha=alpha, delta=delta, paired=paired)
    if number == 1:
        return pooled
    alone = tuple(
        compare(control, treatments, alpha=alpha / number, delta=delta, paired=paired)
        for control, treatments in stages
    )
    contrasts = {
        name: _combined(pooled[name], [s[name] for s in alone if name in s], pooled, number)
        for name in pooled
    }
    return replace(pooled, contrasts=contrasts, stages=alone)


def _combined(
    contrast: Contrast, found: Sequence[Contrast], pooled: Comparisons, number: int
) -> Contrast:
    p_holm = min(1.0, number * min(stage.p_holm for stage in found))
    # Each stage that is significant at its share of alpha votes with its difference's sign. Two
    # that contradict each other sum to 0, which is no verdict: one of them must be a false finding.
    signs = {np.sign(s.difference) for s in found if number * s.p_holm < pooled.alpha}
    return replace(
        contrast,
        p=min(1.0, number * min(stage.p for stage in found)),
        p_holm=p_holm,
        detectable=min(stage.detectable for stage in found),
        verdict=judge(float(sum(signs)), contrast.largest_gain, pooled.delta),
    )


def _pooled(stages: Sequence[Stage]) -> Stage:
    """Return the values of all stages one after another, NaN where a group has no value."""
    names = dict.fromkeys(name for _, treatments in stages for name in treatments)
    groups = [{"": control, **treatments} for control, treatments in stages]
    widths = [max(map(len, group.values())) for group in groups]
    rows = {
        name: np.concatenate(
            [
                _filled(group.get(name, ()), width)
                for group, width in zip(groups, widths, strict=True)
            ]
        )
        for name in ("", *names)
    }
    return rows.pop(""), rows


def _filled(values: Values, width: int) -> Floats:
    row = np.full(width, np.nan)
    row[: len(values)] = values
    return row
