"""Declaring a confirmation: which configurations are trained again, with which fresh seeds.

A stage is a sweep of its own (`sweep.confirms`), whose trials are planned at once and run to the
end: the same state machine, runners, books and recovery serve it. Everything is frozen when it is
declared; whatever the search does later, the stage's configurations stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select

from sweeper.declaring import BASELINE, Launch
from sweeper.errors import PlanError, ProtocolMismatch, SweeperError
from sweeper.names import search_name
from sweeper.protocol import plan_of
from sweeper.search.seeds import confirmation_seed
from sweeper.steering import resume
from sweeper.store import log, stages
from sweeper.store.lookup import find_stages, find_studies, find_sweep
from sweeper.store.schema import launch, sweep
from trainers.errors import near_miss
from trainers.numerics import NUMERICS_VERSION

MOST_STAGES = 2  # alpha is split equally among them


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """How many fresh seeds each configuration is trained with."""

    method: int = 10
    baseline: int = 30  # every comparison has the baseline in it: the cheapest power there is

    def of(self, name: str) -> int:
        """Return the number for a method's configurations."""
        return self.baseline if name == BASELINE else self.method


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

    Raises ProtocolMismatch, field by field, where what is asked for is not what was declared.
    """
    declared = find_stages(connection, find_sweep(connection, wanted.sweep).id)
    if not declared:
        if wanted.more:
            raise PlanError(f"--more: {wanted.sweep} has no confirmation yet; leave it out")
        return None
    last = declared[-1]
    if wanted.more and len(declared) < MOST_STAGES:
        if wanted.methods is not None or wanted.budget is not None:
            raise PlanError("--more: methods and budget are the first confirmation's; leave them")
        _refuse_unfinished(connection, last)
        return None
    if wanted.more:
        raise PlanError(
            f"--more: {wanted.sweep} has its {MOST_STAGES} confirmations; every further look at "
            "the reported split would make chance findings likelier"
        )
    _refuse_other(last, wanted)
    return last


def declare_stage(
    engine: Engine, wanted: Confirmation, reported: Reported, who: Launch
) -> Row[Any]:
    """Store a stage, or find the one to go on with, and return its row; a pause ends with it.

    Raises PlanError or SweeperError, naming what is lacking: a method that is not finished, one
    without a trial that came to its end, a baseline.
    """
    with engine.begin() as connection:
        parent = find_sweep(connection, wanted.sweep)
        connection.execute(select(sweep.c.id).where(sweep.c.id == parent.id).with_for_update())
        row = find_stage(connection, wanted)
        if row is None:
            row = _declare(connection, parent, wanted, reported)
        if row.paused_by is not None:
            resume(connection, row.id, who.who)
        connection.execute(insert(launch).values(sweep_id=row.id, **vars(who)))
    return row


def _declare(
    connection: Connection, parent: Row[Any], wanted: Confirmation, reported: Reported
) -> Row[Any]:
    if parent.confirms is not None:
        raise PlanError(f"{parent.name} is a confirmation itself; name the sweep it confirms")
    _refuse_numerics(parent, reported)
    earlier = find_stages(connection, parent.id)
    known = earlier[-1].protocol["confirmation"] if earlier else {}
    terms = {name: value for name, value in wanted.stated.items() if value is not None}
    usual = {"delta": 0.5, "paired": False, "stages": 1} | _usual_seeds(connection, parent)
    terms = usual | {name: known[name] for name in wanted.stated if name in known} | terms
    searches = _searches(connection, parent, terms)
    stage = len(earlier) + 1
    incumbents = known.get("incumbents") or _incumbents(connection, searches, terms["budget"])
    terms |= {
        "stage": stage,
        "incumbents": incumbents,
        "report": {
            "images": len(reported.blocks),
            "blocks": list(reported.blocks),
            "classes": list(reported.classes),
        },
    }
    row = stages.add_stage(connection, parent, stage, terms)
    numbers = Seeds(method=terms["seeds"], baseline=terms["baseline_seeds"])
    for search in searches:
        seeds = [
            confirmation_seed(row.seed, stage, index) for index in range(numbers.of(search.method))
        ]
        stages.add_confirmations(connection, row, search, incumbents[_name(search)], seeds)
    log.note(connection, parent.id, "confirmed", stage=stage, methods=terms["methods"])
    return row


def _usual_seeds(connection: Connection, parent: Row[Any]) -> dict[str, int]:
    """Return 3 seeds a search where there are several searches a method, else the defaults."""
    rows = find_studies(connection, parent)
    repeats = max((row.repeat for row in rows if row.method != BASELINE), default=1)
    usual = Seeds() if repeats == 1 else Seeds(method=3, baseline=3)
    return {"seeds": usual.method, "baseline_seeds": usual.baseline}


def _searches(
    connection: Connection, parent: Row[Any], terms: dict[str, Any]
) -> Sequence[log.Study]:
    """Return the searches to confirm, the baseline's first; completes `terms` by what they have."""
    studies = log.studies(connection, parent.id)
    names = {study.method for study in studies}
    asked = terms.get("methods")
    for name in asked or ():
        if name not in names:
            raise PlanError(f"no method {name!r} in sweep {parent.name}{near_miss(name, names)}")
    if BASELINE not in names:
        raise PlanError(
            f"sweep {parent.name} has no baseline, so no gain can be told; add it with `sweeper "
            f"launch --sweep {parent.name} --method baseline`"
        )
    chosen = [s for s in studies if asked is None or s.method in {*asked, BASELINE}]
    usable = [s for s in chosen if asked is not None or s.state not in ("cancelled", "halted")]
    smallest = min((s.target for s in usable), default=0)
    budget = terms.setdefault("budget", smallest)
    plan_of(parent.protocol).check_budget(budget)
    decided = stages.decided(connection, [s.id for s in usable], budget)
    open_ = [s for s in usable if decided.get(s.id, 0) < budget]
    if open_:
        said = ", ".join(f"{_name(s)} {decided.get(s.id, 0)} of {budget}" for s in open_)
        raise PlanError(
            f"sweep {parent.name} is not finished: {said} trials are decided; finish it with "
            "`sweeper launch`, or name the methods that are with --method"
        )
    if {s.method for s in usable} == {BASELINE}:
        raise PlanError(
            f"sweep {parent.name} has no method beside the baseline that is finished; launch one"
        )
    terms["methods"] = sorted({s.method for s in usable})
    return sorted(usable, key=lambda s: (s.method != BASELINE, s.id))


def _incumbents(
    connection: Connection, searches: Sequence[log.Study], budget: int
) -> dict[str, int]:
    """Return search -> number of its best trial within the budget."""
    found = {}
    for each in searches:
        number = stages.best_trial(connection, each.id, budget)
        if number is None:
            raise SweeperError(
                f"{_name(each)} has no trial that came to its end within {budget}, so there is "
                "nothing to confirm; name the methods that have with --method"
            )
        found[_name(each)] = number
    return found


def _refuse_unfinished(connection: Connection, stage: Row[Any]) -> None:
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
            "reported split cannot be taken back: leave these out, or declare a second stage of "
            "fresh seeds with --more"
        )


def _is_same(name: str, declared: Any, value: Any) -> bool:
    if name == "methods":
        return set(declared) == {*value, BASELINE}
    return bool(declared == value)


def _refuse_numerics(parent: Row[Any], reported: Reported) -> None:
    frozen = parent.protocol["numerics"]["version"], parent.protocol["data_fingerprint"]
    here = NUMERICS_VERSION, reported.fingerprint
    if frozen != here:
        raise ProtocolMismatch(
            f"sweep {parent.name} was searched with (numerics, data) = {frozen}, here they are "
            f"{here}: confirm it with the version and the data that searched it"
        )


def _name(search: log.Study) -> str:
    return search_name(search.method, search.repeat)
