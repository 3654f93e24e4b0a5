"""Declaring what equal cost would have bought, then training it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from sweeper.axes import StepCosts, declare_axes, find_axes, go_on
from sweeper.cli.drive import say
from sweeper.cli.means import Means
from sweeper.cli.start import Again
from sweeper.comparison.axes import cut_searches
from sweeper.comparison.evidence import Evidence, read_evidence
from sweeper.protocol import task_of
from sweeper.store.database import Store
from trainers.devices import choose_device, model_of
from trainers.probe import Probe

REFERENCE_STEPS = 50  # of a method alone, whose median its cost is reckoned with


def start_axes(store: Store, name: str, means: Means, root: Path | None) -> int:
    """Declare the axes beside a sweep's confirmation, or go on with them; return the exit code."""
    again = Again.of(store, name, means, root)
    for row in _declared(store, name, means, root):
        go_on(store.engine, row, again.who)
        code = again.drive(row)
        if code:
            return code
    return 0


def _declared(store: Store, name: str, means: Means, root: Path | None) -> list[Any]:
    """Return the rows of the axes, declared now unless they were before."""
    with store.engine.connect() as connection:
        rows = find_axes(connection, name)
    if rows:
        return rows
    evidence = read_evidence(store.engine, name)
    costs = _step_costs(evidence, means, root)
    return declare_axes(store.engine, name, costs, cut_searches(evidence, costs.seconds))


def _step_costs(evidence: Evidence, means: Means, root: Path | None) -> StepCosts:
    """Measure a step of every method alone, here and now, one after the other."""
    device = choose_device(means.device)
    found = {}
    with closing(Probe(task_of(evidence.protocol), root, device)) as probe:
        for method in evidence.methods:
            found[method] = probe.step_seconds(method, 1, REFERENCE_STEPS)
            say(f"a step of {method} alone takes {found[method]:.3g} s")
    return StepCosts(device=model_of(device), seconds=found)
