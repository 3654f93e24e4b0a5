"""The state machine of a sweep, over PostgreSQL: `next_segment()` and `record()`.

Every decision is made here: whose turn it is, what is tried next, who goes on, what is repeated,
when it is done. It imports neither Ray nor torch, so that any runner, a test and a simulator drive
the very same code. A decision is stored, in one fenced transaction, before anybody acts on it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from sweeper.core.names import trial_name
from sweeper.optuna_export.projection import Projection
from sweeper.scheduler.checkpoint_gc import remove, tidy
from sweeper.scheduler.code_check import block_changed, restart_without_checkpoint
from sweeper.scheduler.cohort_choice import choose_cohort
from sweeper.scheduler.damaged_files import Damages
from sweeper.scheduler.driver_config import DriverConfig
from sweeper.scheduler.event_log import EventLog, SweepLog
from sweeper.scheduler.lease import Lease
from sweeper.scheduler.outcomes import OutcomeRecorder
from sweeper.search.protocol import plan_of, task_of
from sweeper.search.sampler import plan_bracket
from sweeper.search.seeds import training_seed
from sweeper.store import log, log_files, segments
from trainers.runtime.json_log import detail
from trainers.training.segment import EvaluationSplit, Member, Outcome, Segment

logger = logging.getLogger(__name__)


class Idle(Enum):
    """Why there is no segment to run."""

    WAIT = "wait"  # something is in flight; ask again when it is recorded
    NEEDS_PREREQUISITES = "unready"  # something is lacking: make it, ask again
    DONE = "done"


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A segment that was stored as in flight; `record()` wants the same id."""

    id: int
    segment: Segment


@dataclass(frozen=True, kw_only=True)
class MissingPrerequisites:
    """What has to be made before a sweep's next segment, in this order; false when nothing."""

    teacher: bool = False
    preparations: Mapping[str, tuple[log.Study, ...]] = field(default_factory=dict)  # who needs it
    calibrations: tuple[log.Study, ...] = ()

    def concerns(self, study: log.Study) -> bool:
        """Whether the study has to wait for any of it."""
        awaited = (*self.calibrations, *(s for each in self.preparations.values() for s in each))
        return (self.teacher and study.needs_teacher) or study in awaited

    def __bool__(self) -> bool:
        return bool(self.teacher or self.preparations or self.calibrations)


class Sweep:
    """One sweep, driven under a lease."""

    def __init__(
        self,
        engine: Engine,
        row: Any,
        lease: Lease,
        driver_config: DriverConfig,
        projection: Projection,
    ) -> None:
        """Take over a stored sweep (`row` of the table `sweep`)."""
        self.engine = engine
        self.id: int = row.id
        self.name: str = row.name
        self.seed: int = row.seed
        self.folder: str = row.folder
        self.evaluation_split: EvaluationSplit = "selection" if row.confirms is None else "report"
        self.protocol: Mapping[str, Any] = row.protocol
        self.plan = plan_of(row.protocol)
        self.task = task_of(row.protocol)
        self.lease = lease
        self.driver_config = driver_config
        self.projection = projection
        self._event_log = EventLog(row.id)
        self._damages = Damages()

    @property
    def root(self) -> Path:
        """The folder of this sweep's checkpoints; its name is no other sweep's, anywhere."""
        return self.driver_config.checkpoints / self.folder

    @property
    def log_file(self) -> Path:
        """The log of the sweep, if somebody writes it."""
        return log_files.sweep_file(self.root)

    def open_log(self, where: str, stop: threading.Event) -> SweepLog:
        """Return the sweep's log, to be entered for as long as it is driven."""
        return SweepLog(
            self.log_file, sweep=self.name, epoch=self.lease.epoch, where=where, stop=stop
        )

    def recover(self, running: Collection[int] = ()) -> int:
        """Give up what is in flight, mend the projection, remove what nothing needs.

        The segments with the ids `running` go on: this driver's own workers have them. Returns how
        many were given up; their trials are trained again from their last checkpoints, and from the
        start where a checkpoint is gone. Raises SweeperError where the sweep has checkpoints but
        none of them is in the folder of this driver.
        """
        with self._decision() as connection:
            self._event_log.begin(connection)
            lost = segments.lose_segments(connection, self.id, running)
            if lost:
                log.note(connection, self.id, "lost", segments=lost, why="their driver ended")
            studies = log.studies(connection, self.id)
            restart_without_checkpoint(connection, self.id, studies, self.root)
            needed = log.checkpoints(connection, self.id)
        self.projection.update(self.id)
        tidy(self.root, needed, running)
        return len(lost)

    def next_segment(self, slots: int = 1, *, is_making: bool = False) -> Assignment | Idle:
        """Return the next segment, stored as in flight; `slots` = workers that are free now.

        `is_making`: prerequisites are being trained, so only studies that miss none are asked for.
        """
        with self._decision() as connection:
            active = self._active(connection)
            missing = self._missing(active)
            if missing and not is_making:
                return Idle.NEEDS_PREREQUISITES
            active = [study for study in active if not missing.concerns(study)]
            planned = self._plan_due_brackets(connection, active)
            assignment = self._issue(connection, slots, {study.id: study for study in active})
        if planned:
            self.projection.update(self.id)
        if isinstance(assignment, Assignment):
            _log_issued(assignment)
        return assignment

    def record(self, assignment: Assignment, outcome: Outcome) -> None:
        """Store what became of a segment; a second call for the same one changes nothing.

        What it found damaged is made again: a checkpoint from step 0, other files as missing
        prerequisites.
        Raises ValueError where the outcome is not this segment's; SweeperError, when all is stored,
        where a trial finds damaged files time and again.
        """
        asked = [member.key for member in assignment.segment.members]
        given = [member.key for member in outcome.members]
        if asked != given:
            raise ValueError(f"segment {assignment.id} is of {asked}, the outcome of {given}")
        with self._decision() as connection:
            recorder = OutcomeRecorder(connection, self.id, self.plan, self.lease.epoch)
            is_first = segments.close_segment(connection, assignment.id, outcome)
            if is_first:
                recorder.apply(assignment.id, outcome)
        if is_first:
            _log_recorded(assignment, outcome)
        self.projection.update(self.id)
        remove(recorder.needless, self.folder)
        recorder.check_disk()
        for file in self.driver_config.damaged_files(outcome):
            self.make_again(file)

    def make_again(self, file: Path) -> None:
        """Let a file that trials are trained with be made again: it cannot be used as it is.

        Raises SweeperError where that is so time and again.
        """
        self._damages.note(file)
        self.driver_config = self.driver_config.without(file)

    def record_heartbeat(self, assignment: Assignment, step: int) -> None:
        """Note that a segment's worker is alive and has reached `step`."""
        with self._transaction() as connection:
            segments.record_heartbeat(connection, assignment.id, step)

    def missing_prerequisites(self) -> MissingPrerequisites:
        """Return what has to be made before the next segment."""
        with self._transaction() as connection:
            return self._missing(self._active(connection))

    def calibrate(self, study_id: int, calibration: Mapping[str, Any]) -> None:
        """Freeze what was measured of a study's method; a second time changes nothing."""
        with self._transaction() as connection:
            if log.calibrate(connection, study_id, calibration):
                log.note(connection, self.id, "calibrated", (study_id, None), **calibration)

    def block(self, study_id: int, reason: str) -> None:
        """Let a study wait for the next launch; one that was cancelled meanwhile stays so."""
        with self._transaction() as connection:
            if log.block_study(connection, study_id, reason):
                log.note(connection, self.id, "method_blocked", (study_id, None), why=reason)

    def _missing(self, active: Iterable[log.Study]) -> MissingPrerequisites:
        open_ = [s for s in active if s.undecided or s.planned < s.budget]
        needed = {s.preparation for s in open_ if s.preparation}
        unmade = sorted(needed - self.driver_config.preparations.keys())
        return MissingPrerequisites(
            teacher=self.driver_config.teacher is None and any(s.needs_teacher for s in open_),
            preparations={n: tuple(s for s in open_ if s.preparation == n) for n in unmade},
            calibrations=tuple(s for s in open_ if s.awaits_calibration),
        )

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            self.lease.fence(connection)
            yield connection

    @contextmanager
    def _decision(self) -> Iterator[Connection]:
        """Yield a transaction whose events are logged once it is committed."""
        with self._transaction() as connection:
            yield connection
            events = self._event_log.new_events(connection)
        self._event_log.log(events)

    def _active(self, connection: Connection) -> list[log.Study]:
        """Return the studies to go on with; one whose method's code here is another is blocked."""
        studies = [study for study in log.studies(connection, self.id) if study.state == "active"]
        if self.driver_config.code_of is None:
            return studies
        return block_changed(connection, self.id, studies, self.driver_config.code_of)

    def _plan_due_brackets(self, connection: Connection, active: list[log.Study]) -> bool:
        due = [s for s in active if not s.undecided and s.planned < s.budget]
        for study in due:
            self._plan_bracket(connection, study)
        return bool(due)

    def _plan_bracket(self, connection: Connection, study: log.Study) -> None:
        history = log.history(connection, study.id)
        trials = plan_bracket(
            study.known_space, self.plan, history, seed=self.seed, repeat=study.repeat
        )
        index = len(history) // self.plan.bracket
        steps = self.plan.planned_steps(index)
        log.add_bracket(connection, study.id, index, steps, trials)
        log.note(connection, self.id, "planned", (study.id, None), bracket=index)

    def _issue(
        self, connection: Connection, slots: int, active: Mapping[int, log.Study]
    ) -> Assignment | Idle:
        busy = log.in_flight(connection, self.id)
        ready = [
            trial
            for trial in log.open_trials(connection, active)
            if trial.key not in busy and trial.step < self._stop(trial)
        ]
        if not ready:
            return Idle.WAIT if busy else Idle.DONE
        cohort = choose_cohort(
            ready,
            studies=active,
            stops=self.plan.rung_steps,
            size=min(self.driver_config.cohort, -(-len(ready) // max(slots, 1))),
        )
        return self._assign(connection, cohort, active)

    def _assign(
        self, connection: Connection, cohort: list[log.OpenTrial], studies: Mapping[int, log.Study]
    ) -> Assignment:
        first = cohort[0]
        keys = [trial.key for trial in cohort]
        steps = {"start_step": first.step, "stop_step": self._stop(first)}
        repeat = studies[first.study_id].repeat
        seed = training_seed(self.seed, repeat) if first.seed is None else first.seed
        identifier, folder = segments.add_segment(
            connection,
            trials=keys,
            root=self.root,
            sweep_id=self.id,
            epoch=self.lease.epoch,
            seed=seed,
            **steps,
        )
        log.mark_begun(connection, keys, steps["stop_step"])
        segment = Segment(
            task=self.task,
            seed=seed,
            start=first.step,
            stop=self._stop(first),
            evaluate=True,
            members=tuple(self._member(trial, studies[trial.study_id]) for trial in cohort),
            folder=folder,
            teacher=self.driver_config.teacher,
            preparations=self.driver_config.preparations,
            hashes=self.driver_config.hashes,
            data_root=self.driver_config.data_root,
            device=self.driver_config.device,
            deterministic=self.protocol["numerics"]["deterministic"],
            max_seconds=self.driver_config.max_seconds,
            log=log_files.segment_file(self.root, identifier),
            evaluation_split=self.evaluation_split,
        )
        return Assignment(id=identifier, segment=segment)

    def _member(self, trial: log.OpenTrial, study: log.Study) -> Member:
        key = trial_name(self.name, study.method, study.repeat, trial.number)
        return Member(
            key=key, method=study.method, params=trial.params, checkpoint=trial.checkpoint
        )

    def _stop(self, trial: log.OpenTrial) -> int:
        return self.plan.rung_steps[trial.rung]


def _log_issued(assignment: Assignment) -> None:
    segment = assignment.segment
    said = detail(
        segment=assignment.id,
        start=segment.start,
        stop=segment.stop,
        members=[member.key for member in segment.members],
        log=segment.log,
    )
    logger.info("segment issued", extra=said)


def _log_recorded(assignment: Assignment, outcome: Outcome) -> None:
    said = detail(
        segment=assignment.id,
        endings={member.key: member.ending for member in outcome.members},
        reached={member.key: member.step for member in outcome.members},
        seconds=round(outcome.wall_seconds, 3),
        device_name=outcome.device_name,
        interrupted=outcome.interrupted,
        notes=outcome.notes,
        reasons=sorted({(m.reason or "").partition("\n")[0] for m in outcome.members} - {""}),
    )
    logger.info("segment recorded", extra=said)
