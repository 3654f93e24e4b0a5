"""Declaring what equal cost would have bought, then training it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from sweeper.cli.confirmation_run import Again
from sweeper.cli.driver import say
from sweeper.comparison.cuts import cut_searches
from sweeper.comparison.evidence import Evidence, read_evidence
from sweeper.confirmation.equal_cost import check_code, declare_axes, find_axes
from sweeper.confirmation.stage import go_on
from sweeper.core.equal_cost import StepCosts
from sweeper.scheduler.launch_request import code_here
from sweeper.search.protocol import task_of
from trainers.runtime.devices import choose_device, model_of
from trainers.training.probe import Probe

REFERENCE_STEPS = 50  # of a method alone, whose median its cost is reckoned with


def start_axes(again: Again) -> int:
    """Declare the axes beside a sweep's confirmation, or go on with them; return the exit code.

    Where an axis lacks a method that is parked or cancelled the others are trained all the same.
    """
    rows, worst = _declared(again), 0
    with again.store.engine.begin() as connection:
        for row in rows:
            go_on(connection, row, again.who)
    for row in rows:
        code = again.drive(row)
        worst = worst or code
        if not again.is_done(row):
            return code
    return worst


def _declared(again: Again) -> list[Any]:
    """Return the rows of the axes, declared now unless they were before."""
    engine, name = again.store.engine, again.sweep
    with engine.connect() as connection:
        rows = find_axes(connection, name)
        if rows:
            return rows
        check_code(connection, name, code_here)
    evidence = read_evidence(engine, name)
    costs = _step_costs(evidence, again)
    return declare_axes(engine, name, costs, cut_searches(evidence, costs.seconds))


def _step_costs(evidence: Evidence, again: Again) -> StepCosts:
    """Measure a step of every method alone, here and now, one after the other."""
    device = choose_device(again.means.device)
    found = {}
    with closing(Probe(task_of(evidence.protocol), again.root, device)) as probe:
        for method in evidence.methods:
            found[method] = probe.step_seconds(method, 1, REFERENCE_STEPS)
            say(f"a step of {method} alone takes {found[method]:.3g} s")
    return StepCosts(device=model_of(device), seconds=found)
