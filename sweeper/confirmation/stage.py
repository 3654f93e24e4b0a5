"""Declaring a confirmation: which configurations are trained again, with which fresh seeds.

A stage is a sweep of its own (`sweep.confirms`), whose trials are planned at once and run to the
end: the same state machine, runners, accounting and recovery serve it. Everything is frozen when
it is declared; whatever the search does later, the stage's configurations stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row

from sweeper.confirmation.eligibility import (
    chosen_before,
    common_budget,
    eligible_searches,
    incumbents,
    refuse_other_code,
)
from sweeper.core.constants import BASELINE
from sweeper.core.errors import PlanError, ProtocolMismatch
from sweeper.core.names import family_name, search_name
from sweeper.core.provenance import Launch
from sweeper.scheduler.pause_and_cancel import resume
from sweeper.search.seeds import MOST_STAGES, SEEDS_OF_A_SEARCH, Seeds, confirmation_seeds
from sweeper.store import log, stages
from sweeper.store.launches import add_launch
from sweeper.store.lookup import find_children, find_sweep, lock_sweep
from trainers.runtime.numerics import NUMERICS_VERSION

CodeOf = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """What a confirmation is to be; what is None is as the first one has it, or as usual."""

    sweep: str
    methods: tuple[str, ...] | None = None  # None: every method that has finished
    budget: int | None = None  # trials that are compared; None: as many as all methods have
    seeds: int | None = None
    baseline_seeds: int | None = None
    delta: float | None = None  # mIoU: gains below it are of no interest
    paired: bool | None = None
    stages: int | None = None  # alpha is split among them
    more: bool = False  # declare the second stage

    @property
    def stated(self) -> dict[str, Any]:
        """What was said, as the protocol has it."""
        named = sorted(self.methods) if self.methods is not None else None
        return {
            "methods": named,
            "budget": self.budget,
            "seeds": self.seeds,
            "baseline_seeds": self.baseline_seeds,
            "delta": self.delta,
            "paired": self.paired,
            "stages": self.stages,
        }


@dataclass(frozen=True, kw_only=True)
class Reported:
    """The split that confirmations are judged on."""

    fingerprint: str  # of the whole data set
    blocks: tuple[str, ...]  # one an image
    classes: tuple[str, ...]


def find_stage(connection: Connection, wanted: Confirmation) -> Row[Any] | None:
    """Return the stage to go on with, None where a new one is to be declared.

    Raises ProtocolMismatch, field by field, where what is asked for is not what was declared;
    PlanError for what confirms a sweep itself.
    """
    parent = find_sweep(connection, wanted.sweep)
    refuse_child(parent)
    declared = find_children(connection, parent.id)
    if not declared:
        if wanted.more:
            raise PlanError(f"--more: {wanted.sweep} has no confirmation yet; leave it out")
        return None
    last = declared[-1]
    if wanted.more and len(declared) < MOST_STAGES:
        _refuse_more(connection, last, wanted)
        return None
    if wanted.more:
        raise PlanError(
            f"--more: {wanted.sweep} has its {MOST_STAGES} confirmations; every further look at "
            "the reported split would make chance findings likelier"
        )
    _refuse_other(last, wanted)
    return last


def declare_stage(
    engine: Engine,
    wanted: Confirmation,
    reported: Reported,
    who: Launch,
    code_of: CodeOf | None = None,
) -> Row[Any]:
    """Store a stage, or find the one to go on with, and return its row.

    A pause ends with it, and what was blocked goes on. `code_of` gives the hash of a method's code
    here; None: not checked. Raises PlanError or SweeperError, naming what is lacking: a method that
    is not finished, one without a trial that came to its end, a baseline.
    """
    with engine.begin() as connection:
        parent = lock_sweep(connection, wanted.sweep)
        row = find_stage(connection, wanted)
        if row is None:
            row = _declare(connection, parent, wanted, reported, code_of)
        go_on(connection, row, who)
    return row


def go_on(connection: Connection, row: Row[Any], who: Launch) -> None:
    """Note a launch of a stage or a part at equal cost: it is resumed, blocked methods included."""
    stages.unblock(connection, row.id)
    if row.paused_by is not None:
        resume(connection, row.id, who.who)
    add_launch(connection, row, who)


def _declare(
    connection: Connection,
    parent: Row[Any],
    wanted: Confirmation,
    reported: Reported,
    code_of: CodeOf | None,
) -> Row[Any]:
    refuse_numerics(parent, reported.fingerprint)
    earlier = find_children(connection, parent.id)
    if earlier:
        known = earlier[-1].protocol["confirmation"]
        searches = chosen_before(connection, parent, known["incumbents"])
    else:
        searches = eligible_searches(connection, parent, wanted.methods)
        known = _first_terms(connection, parent, searches, wanted)
    if code_of is not None:
        refuse_other_code(searches, code_of)
    stated = {name: value for name, value in wanted.stated.items() if value is not None}
    terms = {**known, **stated, "methods": sorted({s.method for s in searches})}
    _check_terms(terms, searches)
    stage = len(earlier) + 1
    terms |= {
        "stage": stage,
        "report": {
            "images": len(reported.blocks),
            "blocks": list(reported.blocks),
            "classes": list(reported.classes),
        },
    }
    row = stages.add_stage(connection, parent, stage, terms)
    numbers = Seeds(method=terms["seeds"], baseline=terms["baseline_seeds"])
    for name, search in zip(_names(searches), searches, strict=True):
        seeds = confirmation_seeds(row.seed, stage, numbers.of(search.method))
        chosen = stages.configurations(search, terms["incumbents"][name])
        stages.add_confirmations(connection, row, search, chosen, seeds)
    declared = {"name": row.name, "protocol_hash": row.protocol_hash}
    log.note(connection, parent.id, "confirmed", stage=stage, methods=terms["methods"], **declared)
    return row


def _first_terms(
    connection: Connection, parent: Row[Any], searches: Sequence[log.Study], wanted: Confirmation
) -> dict[str, Any]:
    """Return the terms of a first confirmation of which nothing is said."""
    budget = common_budget(parent, searches, wanted.budget)
    usual = {"delta": 0.5, "paired": False, "stages": 1, "budget": budget}
    return (
        usual
        | _usual_seeds(searches)
        | {"incumbents": incumbents(connection, parent, searches, budget)}
    )


def _usual_seeds(searches: Sequence[log.Study]) -> dict[str, int]:
    """Return 3 seeds a search where there are several searches a method, else the defaults."""
    usual = SEEDS_OF_A_SEARCH if are_several(_names(searches)) else Seeds()
    return {"seeds": usual.method, "baseline_seeds": usual.baseline}


def are_several(searches: Iterable[str]) -> bool:
    """Return whether methods have several searches each, by the searches' names."""
    return any("@" in name and not name.startswith(f"{BASELINE}@") for name in searches)


def _names(searches: Sequence[log.Study]) -> list[str]:
    return [search_name(search.method, search.repeat) for search in searches]


def _check_terms(terms: Mapping[str, Any], searches: Sequence[log.Study]) -> None:
    delta = terms["delta"]
    if not (math.isfinite(delta) and delta > 0):
        raise PlanError(f"--delta {delta:g}: give the gain in mIoU, above 0, that is of interest")
    if terms["paired"] and are_several(_names(searches)):
        raise PlanError(
            "--paired: runs are paired by seed, and with several searches a method the "
            "searches are compared, which share none; leave it out"
        )


def _refuse_more(connection: Connection, stage: Row[Any], wanted: Confirmation) -> None:
    """Refuse a second stage that is another comparison, or that comes before the first is done."""
    given = [name for name, value in wanted.stated.items() if value is not None]
    fixed = [name for name in given if name not in ("seeds", "baseline_seeds")]
    if fixed:
        raise PlanError(
            f"--more: {', '.join(fixed)} are the first confirmation's and stay; only --seeds and "
            "--baseline-seeds may be new"
        )
    if are_several(stage.protocol["confirmation"]["incumbents"]):
        raise PlanError(
            "--more: with several searches a method a search counts once, and more seeds make no "
            "more searches; launch a sweep with more --repeats"
        )
    left = sum(each.undecided for each in log.studies(connection, stage.id))
    if left:
        raise PlanError(f"--more: {stage.name} has {left} runs left; finish it first, without it")


def _refuse_other(stage: Row[Any], wanted: Confirmation) -> None:
    declared = stage.protocol["confirmation"]
    faults = [
        f"{name}: was {declared[name]!r}, now {value!r}"
        for name, value in wanted.stated.items()
        if value is not None and not _is_same(name, declared[name], value)
    ]
    if faults:
        raise ProtocolMismatch(
            f"{stage.name} was declared otherwise ({'; '.join(faults)}), and a look at the "
            "reported split cannot be taken back: leave these out; fresh seeds for the same "
            "comparison are declared with --more, another comparison needs a sweep of its own"
        )


def _is_same(name: str, declared: Any, value: Any) -> bool:
    if name == "methods":
        return set(declared) == {*value, BASELINE}
    return bool(declared == value)


def refuse_child(row: Row[Any]) -> None:
    """Raise PlanError for a stage or a part at equal cost (`row` of the table `sweep`)."""
    if row.confirms is not None:
        raise PlanError(
            f"{row.name} is part of a confirmation itself; name the sweep it belongs to: "
            f"{family_name(row.name)}"
        )


def refuse_numerics(parent: Row[Any], fingerprint: str) -> None:
    """Raise ProtocolMismatch where this version or these data are not what was searched with."""
    frozen = parent.protocol["numerics"]["version"], parent.protocol["data_fingerprint"]
    here = NUMERICS_VERSION, fingerprint
    if frozen != here:
        raise ProtocolMismatch(
            f"sweep {parent.name} was searched with (numerics, data) = {frozen}, here they are "
            f"{here}: confirm it with the version and the data that searched it"
        )
