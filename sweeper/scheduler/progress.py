"""How far a sweep is, read from the log: the same numbers for every display."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from sweeper.core.constants import BASELINE
from sweeper.core.names import search_name, study_name, trial_name
from sweeper.scheduler.lease import Holder, holder_of
from sweeper.search.brackets import BracketPlan
from sweeper.store.log import FINAL_STATES
from sweeper.store.log_files import roots, sweep_file
from sweeper.store.lookup import find_sweep, sweep_names

STEPS_IN_FLIGHT = text("""
    SELECT coalesce(sum((g.progress_step - g.start_step) * m.members), 0)::bigint
    FROM sweeper.segment g
    JOIN LATERAL (SELECT count(*) AS members FROM sweeper.segment_member
                  WHERE segment_id = g.id) m ON true
    WHERE g.sweep_id = :sweep AND g.state = 'in flight'
""")
PROGRESS = text("""
    SELECT * FROM sweeper.progress
    WHERE sweep = (SELECT name FROM sweeper.sweep WHERE id = :sweep) ORDER BY study_id
""")
STUDIES = text("""
SELECT p.method, p.repeat, p.state, p.reason, p.budget, p.planned, p.complete, p.pruned,
       p.diverged, p.failed, p.undecided, p.best_score, l.best_trial, g.planned_steps,
       p.trained_steps, p.wasted_steps, p.device_seconds
FROM sweeper.progress p
LEFT JOIN sweeper.leaderboard l USING (sweep, method, repeat)
JOIN sweeper.ledger g USING (sweep, method, repeat)
WHERE sweep = :sweep ORDER BY p.study_id
""")
IN_FLIGHT = text("""
SELECT s.id, s.start_step, s.stop_step, s.progress_step, y.method, y.repeat, m.number,
       extract(epoch FROM clock_timestamp() - s.started_at)::float AS running_s,
       extract(epoch FROM clock_timestamp() - coalesce(s.heartbeat_at, s.started_at))::float
           AS silent_s
FROM sweeper.segment s
JOIN sweeper.segment_member m ON m.segment_id = s.id
JOIN sweeper.study y ON y.id = m.study_id
WHERE s.sweep_id = :sweep_id AND s.state = 'in flight'
ORDER BY s.id, m.ordinal
""")
MIXED_DEVICES = text("""
SELECT y.method, y.repeat, t.bracket, array_agg(DISTINCT s.device_name) AS devices
FROM sweeper.segment_member m
JOIN sweeper.segment s ON s.id = m.segment_id
JOIN sweeper.trial t ON t.study_id = m.study_id AND t.number = m.number
JOIN sweeper.study y ON y.id = m.study_id
WHERE s.sweep_id = :sweep_id AND m.ending = 'reached' AND s.device_name IS NOT NULL
GROUP BY y.id, y.method, y.repeat, t.bracket
HAVING count(DISTINCT s.device_name) > 1
ORDER BY y.id, t.bracket
""")
LAST_LAUNCH = text("""
SELECT command, provenance ->> 'data_note' AS data_note FROM sweeper.launch
WHERE sweep_id = :sweep_id ORDER BY id DESC LIMIT 1
""")
FOLDERS = text("SELECT DISTINCT folder FROM sweeper.segment WHERE sweep_id = :sweep_id")


@dataclass(frozen=True, kw_only=True)
class StudyProgress:
    """How far one search is: what it was allowed, what became of its trials, what it cost."""

    method: str
    repeat: int
    state: str
    reason: str | None
    budget: int
    planned: int
    complete: int
    pruned: int
    diverged: int
    failed: int
    undecided: int
    best_score: float | None  # mIoU in percent
    trained_steps: int
    wasted_steps: int
    device_seconds: float

    @property
    def name(self) -> str:
        """METHOD, or METHOD@R for a later search."""
        return search_name(self.method, self.repeat)

    @property
    def decided(self) -> int:
        """Trials that will not change any more."""
        return self.complete + self.pruned + self.diverged + self.failed

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to run."""
        finished = self.planned >= self.budget and self.undecided == 0
        return self.state in FINAL_STATES or finished


@dataclass(frozen=True, kw_only=True)
class StudyOverview(StudyProgress):
    """How far one search is, with what takes longer to look up."""

    best_trial: int | None
    planned_steps: int


@dataclass(frozen=True, kw_only=True)
class SweepProgress:
    """How far a sweep is."""

    studies: Sequence[StudyProgress]
    total_steps: int  # that the budgets allow; of a study that is not active, what it trained
    segment_steps: int  # member steps of segments in flight, as last reported

    @property
    def trained_steps(self) -> int:
        """Member steps whose result is kept, and those in flight."""
        return sum(study.trained_steps for study in self.studies) + self.segment_steps

    @property
    def decided(self) -> int:
        """Trials that will not change any more."""
        return sum(study.decided for study in self.studies)

    @property
    def budget(self) -> int:
        """Trials that all studies together are to have."""
        return sum(study.budget for study in self.studies)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left that a driver could run."""
        return all(s.state != "active" or s.decided >= s.budget for s in self.studies)

    @property
    def left_steps(self) -> int:
        """Steps still to be trained, if no trial ends early by itself.

        A bracket's allowance counts whole once it is decided, whatever it really used.
        """
        return 0 if self.is_done else max(self.total_steps - self.trained_steps, 0)


@dataclass(frozen=True, kw_only=True)
class SegmentInFlight:
    """A segment that is being trained."""

    segment: int
    start_step: int
    stop_step: int
    at_step: int
    running_s: float
    silent_s: float  # since its worker was last reported of
    trials: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SweepOverview:
    """One sweep at a moment."""

    name: str
    task: str
    seed: int
    launched_at: str  # ISO 8601, UTC
    state: str  # driven, paused, interrupted or done
    paused_by: str | None  # its driver, if there is one, is about to end
    driver: str | None  # also one that was lost
    driver_silent_s: float | None
    last_command: str | None
    deterministic: bool
    numerics_version: int
    note: str | None  # what must be said with its data
    checkpoints: tuple[str, ...]
    logs: tuple[str, ...]  # of the sweep; those of its segments lie beside
    studies: tuple[StudyOverview, ...]
    in_flight: tuple[SegmentInFlight, ...]
    warnings: tuple[str, ...]


def read_progress(engine: Engine, sweep_id: int, plan: BracketPlan) -> SweepProgress:
    """Return how far a sweep is."""
    with engine.connect() as connection:
        rows = list(connection.execute(PROGRESS, {"sweep": sweep_id}).mappings())
        in_flight = connection.scalar(STEPS_IN_FLIGHT, {"sweep": sweep_id})
    names = StudyProgress.__dataclass_fields__
    return SweepProgress(
        studies=[StudyProgress(**{name: row[name] for name in names}) for row in rows],
        total_steps=sum(
            plan.allowed_steps(row["budget"]) if row["state"] == "active" else row["trained_steps"]
            for row in rows
        ),
        segment_steps=int(in_flight or 0),
    )


def read_overviews(connection: Connection, name: str | None = None) -> list[SweepOverview]:
    """Return one sweep, or all of them, oldest first; SweeperError for an unknown name."""
    names = sweep_names(connection, stages=True) if name is None else [name]
    return [_overview(connection, find_sweep(connection, each)) for each in names]


def _overview(connection: Connection, row: Row[Any]) -> SweepOverview:
    rows = connection.execute(STUDIES, {"sweep": row.name}).mappings()
    studies = tuple(StudyOverview(**values) for values in rows)
    holder = holder_of(connection, row.id)
    numerics = row.protocol["numerics"]
    task = row.protocol["task"]["name"]
    launch = connection.execute(LAST_LAUNCH, {"sweep_id": row.id}).one_or_none()
    return SweepOverview(
        name=row.name,
        task=task,
        seed=row.seed,
        launched_at=_iso(row.created_at),
        state=_state(holder, studies, row.paused_by),
        paused_by=row.paused_by,
        driver=holder.name if holder else None,
        driver_silent_s=holder.age_s if holder else None,
        last_command=launch.command if launch else None,
        deterministic=numerics["deterministic"],
        numerics_version=numerics["version"],
        note=launch.data_note or None if launch else None,
        checkpoints=_folders(connection, row.id),
        logs=tuple(str(sweep_file(root)) for root in roots(connection, row)),
        studies=studies,
        in_flight=_assignments(connection, row),
        warnings=(*_without_baseline(row, task, studies), *_mixed(connection, row.id)),
    )


def _state(holder: Holder | None, studies: Iterable[StudyOverview], paused_by: str | None) -> str:
    if holder is not None and holder.alive:
        return "driven"
    if all(study.is_over for study in studies):
        return "done"
    return "interrupted" if paused_by is None else "paused"


def _folders(connection: Connection, sweep_id: int) -> tuple[str, ...]:
    folders = connection.scalars(FOLDERS, {"sweep_id": sweep_id})
    return tuple(sorted({str(Path(folder).parent) for folder in folders if folder}))


def _assignments(connection: Connection, sweep_row: Row[Any]) -> tuple[SegmentInFlight, ...]:
    members: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(IN_FLIGHT, {"sweep_id": sweep_row.id}):
        members.setdefault(row.id, []).append(row)
    return tuple(_flight(sweep_row.name, rows) for rows in members.values())


def _flight(sweep: str, rows: list[Row[Any]]) -> SegmentInFlight:
    first = rows[0]
    return SegmentInFlight(
        segment=first.id,
        start_step=first.start_step,
        stop_step=first.stop_step,
        at_step=first.progress_step,
        running_s=first.running_s,
        silent_s=first.silent_s,
        trials=tuple(trial_name(sweep, row.method, row.repeat, row.number) for row in rows),
    )


def _without_baseline(
    sweep_row: Row[Any], task: str, studies: tuple[StudyOverview, ...]
) -> list[str]:
    repeats = {study.repeat for study in studies}
    missing = repeats - {study.repeat for study in studies if study.method == BASELINE}
    if not missing or sweep_row.confirms is not None:  # what trains choices again adds nothing
        return []
    budget = max(study.budget for study in studies)
    where = f"--sweep {sweep_row.name} --task {task}"
    return [
        "no baseline in this sweep, so no gain can be told; add it with "
        f"`sweeper launch {where} --method {BASELINE} --budget {budget}`"
    ]


def _mixed(connection: Connection, sweep_id: int) -> list[str]:
    return [
        f"bracket {row.bracket} of {study_name('', row.method, row.repeat)[1:]} was judged on"
        f" different devices ({', '.join(row.devices)}): their last digits differ, and with them"
        " perhaps who went on"
        for row in connection.execute(MIXED_DEVICES, {"sweep_id": sweep_id})
    ]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
