"""Which searches of a sweep can be confirmed together: finished alike, and as many of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from sweeper.core.constants import BASELINE, num_searches
from sweeper.core.errors import PlanError, ProtocolMismatch, SweeperError
from sweeper.core.names import search_name
from sweeper.search.protocol import plan_of
from sweeper.store import log, stages
from trainers.errors import near_miss


def eligible_searches(
    connection: Connection, parent: Any, asked: Sequence[str] | None
) -> list[log.Study]:
    """Return the searches that are meant, the baseline's first; None asks for all that went on.

    `parent` is a row of the table `sweep`.
    Raises PlanError where a method is unknown, the baseline is lacking, there is nothing beside it,
    or methods have unequally many searches.
    """
    studies = log.studies(connection, parent.id)
    names = {study.method for study in studies}
    for name in asked or ():
        if name not in names:
            raise PlanError(f"no method {name!r} in sweep {parent.name}{near_miss(name, names)}")
    wanted = names if asked is None else {*asked, BASELINE}
    chosen = [s for s in studies if s.method in wanted and s.state not in log.FINAL_STATES]
    found = {study.method for study in chosen}
    if BASELINE not in found:
        raise PlanError(
            f"sweep {parent.name} has no baseline that was searched to its end, so no gain can be "
            f"told; add it with `sweeper launch --sweep {parent.name} --method baseline`"
        )
    if asked is not None and not {*asked} <= found:
        gone = ", ".join(sorted({*asked} - found))
        raise PlanError(f"{gone}: failed or cancelled in sweep {parent.name}; leave it out")
    if found == {BASELINE}:
        raise PlanError(
            f"sweep {parent.name} has no method beside the baseline that was searched to its end; "
            "launch one"
        )
    return _alike(parent.name, chosen)


def _alike(sweep: str, chosen: Sequence[log.Study]) -> list[log.Study]:
    """Return the searches without those that the baseline has for other methods alone."""
    repeats: dict[str, set[int]] = {}
    for study in chosen:
        repeats.setdefault(study.method, set()).add(study.repeat)
    baseline = repeats.pop(BASELINE)
    most = max(len(each) for each in repeats.values())
    needed = num_searches(BASELINE, most)
    uneven = [f"{name} {len(r)}" for name, r in repeats.items() if r != {*range(1, most + 1)}]
    if uneven or not {*range(1, needed + 1)} <= baseline:
        said = ", ".join([f"{BASELINE} {len(baseline)} of {needed}", *uneven])
        raise PlanError(
            f"sweep {sweep} has methods with {most} searches, but {said}: equal treatment needs "
            f"as many of each; `sweeper launch --repeats {most}`, or name methods with --method"
        )
    kept = [s for s in chosen if s.method != BASELINE or s.repeat <= needed]
    return sorted(kept, key=lambda s: (s.method != BASELINE, s.id))


def common_budget(parent: Any, searches: Sequence[log.Study], asked: int | None) -> int:
    """Return how many trials of each are compared; PlanError where that is not plain."""
    budgets = {_name(s): s.budget for s in searches}
    if asked is None and len({*budgets.values()}) > 1:
        said = ", ".join(f"{name} {budget}" for name, budget in budgets.items())
        raise PlanError(
            f"sweep {parent.name} has unequal budgets ({said}): say with --budget how many trials "
            "of each are compared, or with --method which methods"
        )
    budget = min(budgets.values()) if asked is None else asked
    plan_of(parent.protocol).check_budget(budget)
    return budget


def incumbents(
    connection: Connection, parent: Any, searches: Sequence[log.Study], budget: int
) -> dict[str, int]:
    """Return search -> number of its best trial within the budget.

    Raises PlanError where a search is not finished, SweeperError where none of its trials came to
    the end.
    """
    decided = stages.decided(connection, [s.id for s in searches], budget)
    open_ = [s for s in searches if decided.get(s.id, 0) < budget]
    if open_:
        said = ", ".join(f"{_name(s)} {decided.get(s.id, 0)} of {budget}" for s in open_)
        raise PlanError(
            f"sweep {parent.name} is not finished: {said} trials are decided; finish it with "
            "`sweeper launch`, or name the methods that are with --method"
        )
    found = {_name(s): stages.best_trial(connection, s.id, budget) for s in searches}
    nothing = [name for name, number in found.items() if number is None]
    if nothing:
        raise SweeperError(
            f"{', '.join(nothing)} has no trial that came to its end within {budget}, so there is "
            "nothing to confirm; name the methods that have with --method"
        )
    return {name: number for name, number in found.items() if number is not None}


def chosen_before(
    connection: Connection, parent: Any, earlier: Mapping[str, int]
) -> list[log.Study]:
    """Return the searches that an earlier confirmation was made of, the baseline's first."""
    mine = [s for s in log.studies(connection, parent.id) if _name(s) in earlier]
    return sorted(mine, key=lambda s: (s.method != BASELINE, s.id))


def refuse_other_code(searches: Sequence[log.Study], code_of: Callable[[str], str]) -> None:
    """Raise ProtocolMismatch where a method's code here is not the one that was searched with."""
    other = sorted({s.method for s in searches if code_of(s.method) != s.code_hash})
    if other:
        raise ProtocolMismatch(
            f"{', '.join(other)}: the code here is not the one that was searched with: confirm it "
            "with the version that searched it"
        )


def _name(search: log.Study) -> str:
    return search_name(search.method, search.repeat)
