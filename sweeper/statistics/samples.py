"""Values of seeds side by side: one row a group, one column a seed, NaN where a group has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeper.statistics.errors import StatisticsError
from sweeper.statistics.shrinkage import Floats

Values = Sequence[float] | Floats
MIN_VALUES = 2  # one has no variance
MIN_FOR_IMPROVEMENT = 20
MIN_FOR_CORRELATION = 3


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Number, mean and variance (ddof 1) of every row, each (rows,)."""

    counts: Floats
    means: Floats
    variances: Floats


def align(control: Values, treatments: Mapping[str, Values]) -> Floats:
    """Return the values as (1 + treatments, seeds), the control first, NaN at a row's end.

    Raises StatisticsError for no treatment, an infinite value, or fewer than two values.
    """
    if not treatments:
        raise StatisticsError("0 treatments were given; a comparison needs at least one")
    groups = {"the control": control, **{f"{name!r}": treatments[name] for name in treatments}}
    rows = np.full((len(groups), max(map(len, groups.values()))), np.nan)
    for row, values in zip(rows, groups.values(), strict=True):
        row[: len(values)] = values
    require_enough(dict(zip(groups, rows, strict=True)), "values")
    return rows


def require_enough(rows: Mapping[str, Floats], kind: str) -> None:
    """Raise StatisticsError where a row has fewer than two numbers, or an infinite one."""
    for name, row in rows.items():
        given = row[~np.isnan(row)]
        if len(given) < MIN_VALUES or np.isinf(given).any():
            raise StatisticsError(
                f"{name} has {len(given)} {kind}: {given.tolist()}; at least {MIN_VALUES}, all"
                " finite, are needed: confirm it with more seeds"
            )


def moments(rows: Floats) -> Moments:
    """Return the moments of the rows without their NaNs; identical values have variance 0."""
    is_given = ~np.isnan(rows)
    counts = is_given.sum(1).astype(np.float64)
    means = np.where(is_given, rows, 0.0).sum(1) / counts
    squares = np.where(is_given, rows - means[:, None], 0.0) ** 2
    spread = np.fmax.reduce(rows, 1) - np.fmin.reduce(rows, 1)
    variances = np.where(spread > 0, squares.sum(1) / (counts - 1), 0.0)
    return Moments(counts=counts, means=means, variances=variances)


def probability_of_improvement(control: Values, treatment: Values) -> float | None:
    """Return P(treatment > control), ties counting half; None under 20 values on either side."""
    ours, theirs = _given(treatment), _given(control)
    if min(len(ours), len(theirs)) < MIN_FOR_IMPROVEMENT:
        return None
    return float((np.sign(ours[:, None] - theirs).mean() + 1) / 2)


def seed_correlation(control: Values, *treatments: Values) -> float | None:
    """Return the correlation of control and treatments over the seeds that both have, pooled.

    Position is seed. Products and squares are summed over the treatments, each about its own
    means. None where no treatment shares three seeds with the control, or without spread.
    """
    sums = np.zeros(3)
    for treatment in treatments:
        num_common = min(len(control), len(treatment))
        pair = np.array([control[:num_common], treatment[:num_common]], dtype=np.float64)
        pair = pair[:, ~np.isnan(pair).any(0)]
        if pair.shape[1] >= MIN_FOR_CORRELATION:
            theirs, ours = pair - pair.mean(1, keepdims=True)
            sums += (theirs @ ours, theirs @ theirs, ours @ ours)
    product, *squares = (float(value) for value in sums)
    return product / float(np.sqrt(squares[0] * squares[1])) if min(squares) > 0 else None


def _given(values: Values) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[~np.isnan(array)]
