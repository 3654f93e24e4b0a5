"""Declaring, beside a confirmation, what equal cost would have bought: without any test.

`tuning`: every search cut at the cost of the cheapest one. `training-1.5x`, `training-2x`: the
baseline and plain distillation trained longer, for what the other methods' steps cost more. Each
part is a sweep of its own beside the first stage, and is trained with that stage's first seeds.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Engine, Row

from sweeper.confirmation.eligibility import chosen_before, refuse_other_code
from sweeper.confirmation.stage import CodeOf, refuse_child
from sweeper.core.constants import BASELINE
from sweeper.core.equal_cost import LENGTHS, PLAIN, TUNING, Cuts, StepCosts
from sweeper.core.errors import PlanError
from sweeper.core.names import search_name
from sweeper.search.seeds import confirmation_seeds
from sweeper.store import log, stages
from sweeper.store.lookup import find_children, find_sweep, lock_sweep


def find_equal_cost(connection: Connection, name: str) -> list[Row[Any]]:
    """Return the rows of a sweep's parts at equal cost; PlanError where it has no confirmation."""
    _, stage = _stage_of(connection, name)
    return find_children(connection, stage.id)


def check_code(connection: Connection, name: str, code_of: CodeOf) -> None:
    """Raise ProtocolMismatch where a method's code here is not the one that was searched with."""
    parent, stage = _stage_of(connection, name)
    incumbents = stage.protocol["confirmation"]["incumbents"]
    refuse_other_code(chosen_before(connection, parent, incumbents), code_of)


def declare_equal_cost(engine: Engine, name: str, costs: StepCosts, cuts: Cuts) -> list[Row[Any]]:
    """Store the parts at equal cost, unless they are declared already, and return their rows."""
    with engine.begin() as connection:
        lock_sweep(connection, name)
        parent, stage = _stage_of(connection, name)
        if not find_equal_cost(connection, name):
            _declare_tuning(connection, parent, stage, costs, cuts)
            for part, length in LENGTHS.items():
                _declare_longer(connection, parent, stage, part, length)
        return find_equal_cost(connection, name)


def _stage_of(connection: Connection, name: str) -> tuple[Row[Any], Row[Any]]:
    """Return the rows of a sweep and of its first confirmation."""
    parent = find_sweep(connection, name)
    refuse_child(parent)
    declared = find_children(connection, parent.id)
    if not declared:
        raise PlanError(
            f"sweep {name} has no confirmation yet: sweeper confirm {name} --equal-cost"
        )
    return parent, declared[0]


def _declare_tuning(
    connection: Connection, parent: Row[Any], stage: Row[Any], costs: StepCosts, cuts: Cuts
) -> None:
    """What the stage has confirmed already is not trained again."""
    incumbents = stage.protocol["confirmation"]["incumbents"]
    terms = {"costs": asdict(costs), "cuts": asdict(cuts), "seeds": len(_seeds(stage))}
    row = stages.add_equal_cost(connection, stage, TUNING, terms)
    for search in chosen_before(connection, parent, incumbents):
        name = search_name(search.method, search.repeat)
        cut, known = cuts.chosen.get(name), stages.configurations(search, incumbents[name])
        if cut is not None and cut.number not in known.values():
            _plan(connection, row, search, cut.number)


def _declare_longer(
    connection: Connection, parent: Row[Any], stage: Row[Any], part: str, length: float
) -> None:
    incumbents = stage.protocol["confirmation"]["incumbents"]
    terms = {"length": length, "seeds": len(_seeds(stage))}
    row = stages.add_equal_cost(connection, stage, part, terms, length)
    for search in chosen_before(connection, parent, incumbents):
        if search.method in (BASELINE, PLAIN):
            number = incumbents[search_name(search.method, search.repeat)]
            _plan(connection, row, search, number)


def _plan(connection: Connection, part: Row[Any], search: log.Study, number: int) -> None:
    stages.add_confirmations(connection, part, search, {stages.TUNED: number}, _seeds(part))


def _seeds(row: Row[Any]) -> list[int]:
    """Return the first stage's seeds that every method has."""
    terms = row.protocol["confirmation"]
    fewest = min(terms["seeds"], terms["baseline_seeds"])
    return confirmation_seeds(row.seed, terms["stage"], fewest)
