"""How long a step of each method takes: from what was measured, else from a method like it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import search_spaces
from sweeper.core.constants import BASELINE
from sweeper.core.errors import SweeperError
from sweeper.estimate.forecast import Pace
from sweeper.store.past_costs import Spent

USUAL = "kd"  # of the methods with a teacher the plainest: the others are measured against it


def fit(spent: Iterable[Spent], source: str) -> dict[str, Pace]:
    """Return the paces that fit best: a student's step = own part + common part / cohort.

    Where a method was seen in cohorts of one size alone, the parts cannot be told apart, and all of
    it counts as the student's own.
    """
    ordered = sorted((each for each in spent if each.steps > 0), key=lambda each: each.method)
    return {
        method: _fitted(list(rows), source)
        for method, rows in groupby(ordered, key=lambda each: each.method)
    }


def _fitted(rows: Sequence[Spent], source: str) -> Pace:
    """Return the regression of a step's seconds on 1 / cohort, by steps; neither part below 0."""
    total = sum(row.steps for row in rows)
    mean = sum(row.seconds for row in rows) / total
    share = sum(row.steps / row.cohort for row in rows) / total
    spread = sum(row.steps * (1 / row.cohort - share) ** 2 for row in rows)
    both = sum(row.steps * (1 / row.cohort - share) * (row.a_step - mean) for row in rows)
    common = min(max(both / spread, 0.0), mean / share) if spread > 0 else 0.0
    sizes = ", ".join(str(size) for size in sorted({row.cohort for row in rows}))
    return Pace(
        own=mean - common * share,
        common=common,
        basis=f"{source}: {total:,} steps in cohorts of {sizes}",
        is_split=spread > 0,
    )


def complete(known: Mapping[str, Pace], methods: Iterable[str]) -> dict[str, Pace]:
    """Return a pace for each of the methods; SweeperError where none at all is known.

    A method that was not measured is like one that was, but for what its losses cost: the
    difference of the figures in search_spaces/measured.toml, in steps of the baseline.
    """
    if not known:
        raise SweeperError("no step was measured: there is nothing to estimate from")
    return {
        method: known[method] if method in known else _like(known, method) for method in methods
    }


def _like(known: Mapping[str, Pace], method: str) -> Pace:
    reference = _reference(known, method)
    pace = known[reference]
    cost, its_cost = _cost(method), _cost(reference)
    if cost is None or its_cost is None:
        return replace(pace, basis=f"taken as {reference}'s: it was never measured")
    unit = known[BASELINE].alone if BASELINE in known else pace.alone / its_cost
    return replace(
        pace,
        own=max(pace.own + (cost - its_cost) * unit, 0.0),
        basis=f"{reference}'s, and {cost - its_cost:+.2f} steps of the baseline "
        "(search_spaces/measured.toml)",
    )


def _reference(known: Mapping[str, Pace], method: str) -> str:
    """Return the known method that is most like it: with a teacher, or the baseline."""
    taught = sorted(known.keys() - {BASELINE}, key=lambda name: (name != USUAL, name))
    if method == BASELINE or not taught:
        return BASELINE if BASELINE in known else taught[0]
    return taught[0]


def _cost(method: str) -> float | None:
    """Return the time of a method's step alone over the baseline's, as it was measured once."""
    figures = search_spaces.measured().get("methods", {}).get(method, {})
    return float(figures["cost"]) if "cost" in figures else None
