"""Control of a sweep from outside its driver: pause, cancel, and what its driver reads of either.

Whoever steers needs the database and nothing else. A driver asks every few seconds, with its
heartbeat; cancelling locks the row that each of its transactions holds, so that they are ordered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, text, update
from sqlalchemy.dialects.postgresql import insert

from sweeper.core.errors import SweeperError
from sweeper.core.launch_limits import End, Limits
from sweeper.core.names import Reference, search_name, study_name
from sweeper.scheduler.lease import holder_of
from sweeper.store import log, segments
from sweeper.store.lookup import find_studies, find_sweep
from sweeper.store.schema import lease, sweep
from trainers.errors import near_miss

CANCELLED = "cancelled by "  # a cancelled trial's reason begins like this
SPENT = text("""
SELECT (SELECT coalesce(sum(device_seconds + wasted_seconds), 0) FROM sweeper.trial t
        JOIN sweeper.study y ON y.id = t.study_id WHERE y.sweep_id = :sweep)
     + (SELECT coalesce(sum(extract(epoch FROM coalesce(heartbeat_at, started_at) - started_at)), 0)
        FROM sweeper.segment WHERE sweep_id = :sweep AND state = 'in flight')
""")


@dataclass(frozen=True, kw_only=True)
class ControlRequests:
    """What a driver is to know of those who steer its sweep."""

    end: End | None
    unwanted: frozenset[int]  # segments in flight of whose members none is undecided any more
    budgets: Mapping[str, int]  # METHOD or METHOD@R -> trials it is to have


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    """What cancelling would end."""

    sweep_id: int
    folder: str  # of the sweep's checkpoints
    studies: Mapping[int, str]  # id -> name, of those with something left to run
    undecided: int  # trials that are planned and would be FAIL
    complete: int  # trials that stay


def read_requests(engine: Engine, sweep_id: int, limits: Limits) -> ControlRequests:
    """Return what is asked of the driver of a sweep, its own limits included."""
    with engine.connect() as connection:
        flights = segments.flights(connection, sweep_id)
        studies = log.studies(connection, sweep_id)
        asked = _pause(connection, sweep_id) or _cancelled(studies, any(flights.values()))
        return ControlRequests(
            end=asked or _limit(connection, sweep_id, limits),
            unwanted=frozenset(key for key, is_wanted in flights.items() if not is_wanted),
            budgets={search_name(each.method, each.repeat): each.budget for each in studies},
        )


def pause(engine: Engine, sweep_id: int, who: str) -> None:
    """Ask the driver of a sweep to end, and every other one not to begin; who asked first stays."""
    where = (sweep.c.id == sweep_id, sweep.c.paused_by.is_(None))
    with engine.begin() as connection:
        if connection.execute(update(sweep).where(*where).values(paused_by=who)).rowcount:
            log.note(connection, sweep_id, "paused", by=who)


def resume(connection: Connection, sweep_id: int, who: str) -> None:
    """Take a pause back."""
    connection.execute(update(sweep).where(sweep.c.id == sweep_id).values(paused_by=None))
    log.note(connection, sweep_id, "resumed", by=who)


def plan_cancellation(
    connection: Connection, reference: Reference, *, one_search: bool = False
) -> Cancellation:
    """Return what cancelling a sweep, a method or `one_search` of it would end.

    What is finished, failed or cancelled already is left out. SweeperError for an unknown name.
    """
    if reference.number is not None:
        raise SweeperError(
            f"{reference} is one trial, and a trial is not cancelled alone: a bracket is judged as "
            "a whole; cancel "
            f"{study_name(reference.sweep, str(reference.method), reference.repeat)}"
        )
    row = find_sweep(connection, reference.sweep)
    chosen = _named(find_studies(connection, row), reference, one_search)
    states = {each.id: each for each in log.studies(connection, row.id)}
    open_ones = [each for each in chosen if _is_open(states[each.id])]
    ids = [each.id for each in open_ones]
    return Cancellation(
        sweep_id=row.id,
        folder=row.folder,
        studies={each.id: study_name(row.name, each.method, each.repeat) for each in open_ones},
        undecided=sum(states[each].undecided for each in ids),
        complete=log.count_complete(connection, ids),
    )


def cancel(engine: Engine, cancellation: Cancellation, who: str) -> list[Path]:
    """Cancel the studies for good; return the checkpoints that nothing needs any more.

    Those of trials in flight stay until their segments come back, since a worker may be about to
    read them. Where nobody drives, what was in flight is given up.
    """
    identifier = cancellation.sweep_id
    files: list[Path] = []
    with engine.begin() as connection:
        is_driven = _lock(connection, identifier)
        busy = log.in_flight(connection, identifier) if is_driven else set()
        for study in log.studies(connection, identifier):
            if study.id in cancellation.studies and _is_open(study):
                files += _cancel_study(connection, identifier, study, who, busy)
        if not is_driven:
            flights = segments.flights(connection, identifier)
            wanted = [key for key, is_wanted in flights.items() if is_wanted]
            segments.lose_segments(connection, identifier, wanted)
    return files


def _lock(connection: Connection, sweep_id: int) -> bool:
    """Wait for the driver's running transaction and hold the next; return whether there is one."""
    connection.execute(insert(lease).values(sweep_id=sweep_id, epoch=0).on_conflict_do_nothing())
    holder = holder_of(connection, sweep_id, lock=True)
    # Lease first, then sweep, then studies, as everywhere. A launch, which may add to these
    # studies, begins with the lock of the sweep.
    row = select(sweep.c.id).where(sweep.c.id == sweep_id)
    connection.execute(row.with_for_update(key_share=True))
    return holder is not None and holder.alive


def _cancel_study(
    connection: Connection, sweep_id: int, study: log.Study, who: str, busy: set[log.TrialKey]
) -> list[Path]:
    reason = f"by {who}, {study.undecided} trials were undecided"
    log.set_study_state(connection, study.id, "cancelled", reason)
    log.note(connection, sweep_id, "cancelled", (study.id, None), by=who, trials=study.undecided)
    files = []
    for trial in log.open_trials(connection, [study.id]):
        kept = {} if trial.key in busy else {"checkpoint": None}
        log.decide_trial(connection, trial.key, "FAIL", reason=f"{CANCELLED}{who}", **kept)
        if trial.checkpoint is not None and trial.key not in busy:
            files.append(trial.checkpoint)
    return files


def _named(studies: Sequence[Row[Any]], reference: Reference, one_search: bool) -> list[Row[Any]]:
    def is_meant(study: Row[Any]) -> bool:
        if reference.method is None:
            return True
        return study.method == reference.method and (
            not one_search or bool(study.repeat == reference.repeat)
        )

    chosen = [study for study in studies if is_meant(study)]
    if not chosen:
        known = [study_name(reference.sweep, study.method, study.repeat) for study in studies]
        raise SweeperError(f"no method {str(reference)!r}{near_miss(str(reference), known)}")
    return chosen


def _is_open(study: log.Study) -> bool:
    """Return whether something of a study is left to run, perhaps after a relaunch."""
    is_finished = study.planned >= study.budget and not study.undecided
    return study.state not in log.FINAL_STATES and not is_finished


def _pause(connection: Connection, sweep_id: int) -> End | None:
    who = connection.scalar(select(sweep.c.paused_by).where(sweep.c.id == sweep_id))
    return End(f"paused by {who}", "the same command goes on") if who else None


def _cancelled(studies: Sequence[log.Study], is_wanted: bool) -> End | None:
    """Return the end of a driver whose work has been cancelled to the last trial."""
    names = [search_name(s.method, s.repeat) for s in studies if s.state == "cancelled"]
    if not names or is_wanted or any(s.state == "active" and _is_open(s) for s in studies):
        return None
    return End(f"cancelled: {', '.join(names)}", "nothing is left to run")


def _limit(connection: Connection, sweep_id: int, limits: Limits) -> End | None:
    is_counted = limits.device_hours is not None
    spent = connection.scalar(SPENT, {"sweep": sweep_id}) if is_counted else 0.0
    return limits.reached(float(spent or 0.0), datetime.now(UTC))
