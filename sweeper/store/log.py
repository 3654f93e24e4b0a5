"""Reading and writing the log: the SQL behind the state machine, one short statement each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select, tuple_, update

from sweeper.search.space import Space, known_space
from sweeper.search.trials import PastTrial, PlannedTrial
from sweeper.store.row_digests import add_digest
from sweeper.store.schema import bracket, event, rung, segment, segment_member, study, trial
from trainers.training.segment import Ending

TrialKey = tuple[int, int]  # study id, number
FINAL_STATES = ("failed", "cancelled")  # of a study that no relaunch goes on with


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study as the state machine sees it."""

    id: int
    method: str
    repeat: int
    budget: int
    state: str
    space: Mapping[str, Any]
    code_hash: str
    needs_teacher: bool
    preparation: str | None  # the method whose preparation it needs
    calibration: Mapping[str, Any] | None  # None: not measured
    planned: int  # trials in its plan so far
    undecided: int
    begun_steps: int

    @property
    def known_space(self) -> Space:
        """Its space, with the ranges that its calibration has given."""
        return known_space(self.space, self.calibration)

    @property
    def awaits_calibration(self) -> bool:
        """Whether a range of its space is not known yet."""
        return self.known_space.awaits_calibration


@dataclass(frozen=True, kw_only=True)
class OpenTrial:
    """An undecided trial."""

    study_id: int
    number: int
    bracket: int
    rung: int
    step: int
    params: Mapping[str, float]
    checkpoint: Path | None
    seed: int | None = None  # its own, of a confirmation; None: its repeat's

    @property
    def key(self) -> TrialKey:
        """Its primary key."""
        return self.study_id, self.number


def studies(connection: Connection, sweep_id: int) -> list[Study]:
    """Return the studies of a sweep in the order of their launch."""
    counts = (
        select(
            trial.c.study_id,
            func.count().label("planned"),
            func.count().filter(trial.c.state == "RUNNING").label("undecided"),
            func.sum(trial.c.begun_steps).label("begun"),
        )
        .join(study, study.c.id == trial.c.study_id)
        .where(study.c.sweep_id == sweep_id)
        .group_by(trial.c.study_id)
        .subquery()
    )
    query = (
        select(study, counts.c.planned, counts.c.undecided, counts.c.begun)
        .outerjoin(counts, counts.c.study_id == study.c.id)
        .where(study.c.sweep_id == sweep_id)
        .order_by(study.c.id)
    )
    return [
        Study(
            id=row.id,
            method=row.method,
            repeat=row.repeat,
            budget=row.budget,
            state=row.state,
            space=row.space,
            code_hash=row.code_hash,
            needs_teacher=row.needs_teacher,
            preparation=row.preparation,
            calibration=row.calibration,
            planned=row.planned or 0,
            undecided=row.undecided or 0,
            begun_steps=int(row.begun or 0),
        )
        for row in connection.execute(query)
    ]


def open_trials(connection: Connection, study_ids: Iterable[int]) -> list[OpenTrial]:
    """Return the undecided trials of some studies, by study and number."""
    query = (
        select(trial)
        .where(trial.c.study_id.in_(list(study_ids)), trial.c.state == "RUNNING")
        .order_by(trial.c.study_id, trial.c.number)
    )
    return [
        OpenTrial(
            study_id=row.study_id,
            number=row.number,
            bracket=row.bracket,
            rung=row.rung,
            step=row.step,
            params=row.params,
            checkpoint=Path(row.checkpoint) if row.checkpoint else None,
            seed=row.seed,
        )
        for row in connection.execute(query)
    ]


def in_flight(connection: Connection, sweep_id: int) -> set[TrialKey]:
    """Return the trials that are being trained."""
    query = (
        select(segment_member.c.study_id, segment_member.c.number)
        .join(segment, segment.c.id == segment_member.c.segment_id)
        .where(segment.c.sweep_id == sweep_id, segment.c.state == "in flight")
    )
    return {(row.study_id, row.number) for row in connection.execute(query)}


def history(connection: Connection, study_id: int) -> list[PastTrial]:
    """Return the study's trials in the order of the plan, as the sampler sees them."""
    reached: dict[int, dict[int, float]] = {}
    rungs = select(rung.c.number, rung.c.step, rung.c.score).where(rung.c.study_id == study_id)
    for row in connection.execute(rungs):
        reached.setdefault(row.number, {})[row.step] = row.score
    query = select(trial).where(trial.c.study_id == study_id).order_by(trial.c.number)
    return [
        PastTrial(
            params=row.params,
            state=row.state,
            score=row.score,
            rungs=reached.get(row.number, {}),
            diverged=row.diverged,
        )
        for row in connection.execute(query)
    ]


def add_bracket(
    connection: Connection,
    study_id: int,
    index: int,
    planned_steps: int,
    trials: Sequence[PlannedTrial],
) -> None:
    """Store a bracket's whole plan."""
    connection.execute(
        insert(bracket).values(study_id=study_id, index=index, planned_steps=planned_steps)
    )
    rows = [
        {
            "study_id": study_id,
            "number": planned.number,
            "bracket": index,
            "origin": planned.origin,
            "params": dict(planned.params),
            "rung": 0,
        }
        for planned in trials
    ]
    connection.execute(insert(trial), rows)


def change_trial(connection: Connection, key: TrialKey, **values: Any) -> None:
    """Change what Optuna's tables do not show of a trial."""
    where = (trial.c.study_id == key[0], trial.c.number == key[1])
    connection.execute(update(trial).where(*where).values(**values))


def show_change(connection: Connection, key: TrialKey, **values: Any) -> None:
    """Change a trial's row and raise its revision, so that the projection follows."""
    change_trial(connection, key, revision=trial.c.revision + 1, **values)


def decide_trial(connection: Connection, key: TrialKey, state: str, **values: Any) -> None:
    """End a trial for good."""
    show_change(connection, key, state=state, finished_at=func.now(), **values)
    add_digest(connection, "trial", *key)


def mark_begun(connection: Connection, keys: Sequence[TrialKey], stop: int) -> None:
    """Note that a segment up to `stop` was issued for these trials."""
    connection.execute(
        update(trial)
        .where(tuple_(trial.c.study_id, trial.c.number).in_(keys))
        .values(begun_steps=func.greatest(trial.c.begun_steps, stop))
    )


def rung_values(
    connection: Connection, study_id: int, numbers: range, index: int
) -> dict[int, float]:
    """Return number -> mIoU of a bracket's undecided trials at one rung."""
    query = (
        select(rung.c.number, rung.c.score)
        .join(trial, and_(trial.c.study_id == rung.c.study_id, trial.c.number == rung.c.number))
        .where(
            rung.c.study_id == study_id,
            rung.c.index == index,
            rung.c.number.between(numbers.start, numbers.stop - 1),
            trial.c.state == "RUNNING",
        )
    )
    return {row.number: row.score for row in connection.execute(query)}


def failures(connection: Connection, study_id: int, numbers: range) -> list[str]:
    """Return the first lines of the reasons why trials failed in the method's own code."""
    query = (
        select(trial.c.reason)
        .where(
            trial.c.study_id == study_id,
            trial.c.number.between(numbers.start, numbers.stop - 1),
            trial.c.state == "FAIL",
        )
        .order_by(trial.c.number)
    )
    return [(reason or "no reason given").splitlines()[0] for reason in connection.scalars(query)]


def count_complete(connection: Connection, study_ids: Iterable[int]) -> int:
    """Return how many trials of some studies are complete."""
    where = (trial.c.study_id.in_(list(study_ids)), trial.c.state == "COMPLETE")
    return int(connection.scalar(select(func.count()).select_from(trial).where(*where)) or 0)


def note(
    connection: Connection,
    sweep_id: int,
    kind: str,
    key: TrialKey | tuple[int, None] = (0, None),
    **detail: Any,
) -> None:
    """Append to the log of decisions."""
    connection.execute(
        insert(event).values(
            sweep_id=sweep_id, study_id=key[0] or None, number=key[1], kind=kind, detail=detail
        )
    )


def count_endings(connection: Connection, key: TrialKey, epoch: int, ending: Ending) -> int:
    """Return how often a trial's segments ended in this way under the driver of this epoch."""
    query = (
        select(func.count())
        .select_from(segment_member)
        .join(segment, segment.c.id == segment_member.c.segment_id)
        .where(
            segment_member.c.study_id == key[0],
            segment_member.c.number == key[1],
            segment_member.c.ending == ending,
            segment.c.epoch == epoch,
        )
    )
    return int(connection.scalar(query) or 0)


def set_study_state(connection: Connection, study_id: int, state: str, reason: str) -> None:
    """Block a study, so that a relaunch goes on, or cancel it for good."""
    connection.execute(
        update(study).where(study.c.id == study_id).values(state=state, reason=reason)
    )


def block_study(connection: Connection, study_id: int, reason: str) -> bool:
    """Block an active study; False where it is not active any more."""
    where = (study.c.id == study_id, study.c.state == "active")
    blocked = connection.execute(update(study).where(*where).values(state="blocked", reason=reason))
    return blocked.rowcount == 1


def calibrate(connection: Connection, study_id: int, calibration: Mapping[str, Any]) -> bool:
    """Store a study's calibration; False where it has one."""
    stored = connection.execute(
        update(study)
        .where(study.c.id == study_id, study.c.calibration.is_(None))
        .values(calibration=dict(calibration))
    )
    if stored.rowcount:
        add_digest(connection, "calibration", study_id)
    return stored.rowcount == 1


def fail_study(connection: Connection, study_id: int, reason: str) -> bool:
    """Let a study fail for good; False where it had failed or was cancelled before."""
    where = (study.c.id == study_id, study.c.state.not_in(FINAL_STATES))
    failed = connection.execute(update(study).where(*where).values(state="failed", reason=reason))
    return failed.rowcount == 1


def forget_checkpoint(connection: Connection, keys: Iterable[TrialKey]) -> None:
    """Send trials whose checkpoint cannot be used back to step 0; what they had was wasted.

    Their rungs stay: what was judged is not judged again, and the same values come out.
    """
    for key in keys:
        change_trial(
            connection,
            key,
            step=0,
            checkpoint=None,
            trained_steps=0,
            device_seconds=0.0,
            wasted_steps=trial.c.wasted_steps + trial.c.trained_steps,
            wasted_seconds=trial.c.wasted_seconds + trial.c.device_seconds,
        )


def checkpoints(connection: Connection, sweep_id: int) -> set[tuple[str, str]]:
    """Return folder name and file name of every checkpoint that a trial of the sweep needs."""
    query = (
        select(trial.c.checkpoint)
        .join(study, study.c.id == trial.c.study_id)
        .where(
            study.c.sweep_id == sweep_id,
            trial.c.checkpoint.is_not(None),
            trial.c.state != "FAIL",  # one that was cancelled in flight, when its driver died
        )
    )
    paths = map(Path, connection.scalars(query))
    return {(path.parent.name, path.name) for path in paths}
