"""Searches cut at equal cost: replayed from their stored values, as one worker would run them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from sweeper.comparison.bracket_replay import Brackets, replay
from sweeper.comparison.evidence import Evidence
from sweeper.core.equal_cost import Cut, Cuts
from sweeper.core.names import search_name

EQUAL = 1 + 1e-9  # costs summed in another order differ in the last digit


def cut_searches(evidence: Evidence, seconds: Mapping[str, float]) -> Cuts:
    """Return every compared search cut at the cost of the cheapest whole one.

    `seconds` are those of a method's step alone. A search is replayed as one worker runs it, and a
    trial counts once its last step is paid for. Steps lost with a worker cost nothing here.
    """
    searches = dict(_searches(evidence))
    costs = {name: seconds[method] for name, (method, _) in searches.items()}
    common = min(costs[n] * float(s.lengths["steps"].sum()) for n, (_, s) in searches.items())
    cuts = {name: _cut(each, costs[name], common) for name, (_, each) in searches.items()}
    return Cuts(common=common, chosen={name: cut for name, cut in cuts.items() if cut is not None})


def search_seconds(evidence: Evidence, seconds: Mapping[str, float]) -> dict[str, float]:
    """Return the mean cost of a method's searches."""
    found: dict[str, list[float]] = {}
    for _, (method, brackets) in _searches(evidence):
        steps = float(brackets.lengths["steps"].sum())
        found.setdefault(method, []).append(steps * seconds[method])
    return {method: float(np.mean(each)) for method, each in found.items()}


def _searches(evidence: Evidence) -> Iterator[tuple[str, tuple[str, Brackets]]]:
    """Yield name, method and replayed brackets of every search that the first stage confirms."""
    trials, rungs = evidence.compared_trials, evidence.rungs
    found = replay(trials, rungs, evidence.plan, evidence.budget)
    for method, searches in found.items():
        for repeat, brackets in enumerate(searches, start=1):
            name = search_name(method, repeat)
            if name in evidence.stages[0].incumbents:
                yield name, (method, brackets)


def _cut(search: Brackets, per_step: float, common: float) -> Cut | None:
    lengths = search.lengths["steps"]
    begun = np.cumsum(lengths) - lengths
    ended = per_step * (begun[:, None] + search.offsets["steps"])
    values = np.where(ended <= common * EQUAL, search.values, -np.inf)
    if not np.isfinite(values).any():
        return None
    number = int(values.argmax())  # of equal ones the first, as where trials are equally many
    return Cut(number=number, seconds=float(ended.flat[number]))
