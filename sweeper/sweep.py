"""The state machine of a sweep, over PostgreSQL: `next_segment()` and `record()`.

Every decision is made here: whose turn it is, what is tried next, who goes on, what is repeated,
when it is done. It imports neither Ray nor torch, so that any runner, a test and a simulator drive
the very same code. A decision is stored, in one fenced transaction, before anybody acts on it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from sweeper.cohorts import choose_cohort
from sweeper.names import trial_name
from sweeper.protocol import plan_of, task_of
from sweeper.search.sampling import plan_bracket
from sweeper.search.seeds import training_seed
from sweeper.search.space import Space
from sweeper.settling import Settlement
from sweeper.store import log, segments
from sweeper.store.lease import Lease
from sweeper.store.projection import Projection
from trainers.segment import Member, Outcome, Segment


class Idle(Enum):
    """Why there is no segment to run."""

    WAIT = "wait"  # something is in flight; ask again when it is recorded
    DONE = "done"


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A segment that was stored as in flight; `record()` wants the same id."""

    id: int
    segment: Segment


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where and how this driver trains; nothing here changes a number."""

    checkpoints: Path
    data_root: Path | None = None
    teacher: Path | None = None
    device: str = "cpu"
    cohort: int = 8  # most members of a segment
    max_seconds: float = 300.0  # of a segment: checkpoints are this far apart at most


class Sweep:
    """One sweep, driven under a lease."""

    def __init__(
        self, engine: Engine, row: Any, lease: Lease, workplace: Workplace, projection: Projection
    ) -> None:
        """Take over a stored sweep (`row` of the table `sweep`)."""
        self.engine = engine
        self.id: int = row.id
        self.name: str = row.name
        self.seed: int = row.seed
        self.protocol: Mapping[str, Any] = row.protocol
        self.plan = plan_of(row.protocol)
        self.task = task_of(row.protocol)
        self.lease = lease
        self.workplace = workplace
        self.projection = projection

    def recover(self) -> int:
        """Give up what an earlier driver had in flight, mend the projection, remove orphans.

        Returns how many segments were given up; their trials are trained again from their last
        checkpoints.
        """
        with self._transaction() as connection:
            lost = segments.lose_segments(connection, self.id, self.lease.epoch)
            if lost:
                log.note(connection, self.id, "lost", segments=lost, why="their driver ended")
        self.projection.update(self.id)
        self._remove_orphans()
        return len(lost)

    def next_segment(self, slots: int = 1) -> Assignment | Idle:
        """Return the next segment, stored as in flight; `slots` = workers that are free now."""
        with self._transaction() as connection:
            planned = self._plan_due_brackets(connection)
            assignment = self._issue(connection, slots)
        if planned:
            self.projection.update(self.id)
        return assignment

    def record(self, assignment: Assignment, outcome: Outcome) -> None:
        """Store what became of a segment; a second call for the same one changes nothing."""
        with self._transaction() as connection:
            if not segments.close_segment(connection, assignment.id, outcome):
                return
            settlement = Settlement(connection, self.id, self.plan, self.lease.epoch)
            needless = settlement.apply(assignment.id, outcome)
        self.projection.update(self.id)
        self._remove(needless)

    def hear(self, assignment: Assignment, step: int) -> None:
        """Note that a segment's worker is alive and has reached `step`."""
        with self._transaction() as connection:
            segments.hear(connection, assignment.id, step)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            self.lease.fence(connection)
            yield connection

    def _plan_due_brackets(self, connection: Connection) -> bool:
        due = [
            study
            for study in log.studies(connection, self.id)
            if study.state == "active" and not study.undecided and study.planned < study.target
        ]
        for study in due:
            self._plan_bracket(connection, study)
        return bool(due)

    def _plan_bracket(self, connection: Connection, study: log.Study) -> None:
        space = Space.model_validate(study.space)
        history = log.history(connection, study.id)
        trials = plan_bracket(space, self.plan, history, seed=self.seed, repeat=study.repeat)
        index = len(history) // self.plan.bracket
        steps = self.plan.planned_steps(index)
        log.add_bracket(connection, study.id, index, steps, trials)
        log.note(connection, self.id, "planned", (study.id, None), bracket=index)

    def _issue(self, connection: Connection, slots: int) -> Assignment | Idle:
        active = {s.id: s for s in log.studies(connection, self.id) if s.state == "active"}
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
            size=min(self.workplace.cohort, -(-len(ready) // max(slots, 1))),
        )
        return self._assign(connection, cohort, active)

    def _assign(
        self, connection: Connection, cohort: list[log.OpenTrial], studies: Mapping[int, log.Study]
    ) -> Assignment:
        first = cohort[0]
        keys = [trial.key for trial in cohort]
        steps = {"start_step": first.step, "stop_step": self._stop(first)}
        seed = training_seed(self.seed, studies[first.study_id].repeat)
        root = self.workplace.checkpoints / self.name
        identifier, folder = segments.add_segment(
            connection,
            trials=keys,
            root=root,
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
            teacher=self.workplace.teacher,
            data_root=self.workplace.data_root,
            device=self.workplace.device,
            deterministic=self.protocol["numerics"]["deterministic"],
            max_seconds=self.workplace.max_seconds,
        )
        return Assignment(id=identifier, segment=segment)

    def _member(self, trial: log.OpenTrial, study: log.Study) -> Member:
        key = trial_name(self.name, study.method, study.repeat, trial.number)
        return Member(
            key=key, method=study.method, params=trial.params, checkpoint=trial.checkpoint
        )

    def _stop(self, trial: log.OpenTrial) -> int:
        return self.plan.rung_steps[trial.rung]

    def _remove(self, files: list[Path]) -> None:
        for file in files:
            file.unlink(missing_ok=True)
            with_others = file.parent.is_dir() and any(file.parent.iterdir())
            if file.parent.is_dir() and not with_others:
                file.parent.rmdir()

    def _remove_orphans(self) -> None:
        """Remove folders of segments that no trial's checkpoint lies in: nothing can need them."""
        root = self.workplace.checkpoints / self.name
        with self._transaction() as connection:
            needed = log.checkpoint_folders(connection, self.id)
        folders = root.glob("segment-*") if root.is_dir() else ()
        for folder in folders:
            if folder not in needed:
                shutil.rmtree(folder, ignore_errors=True)
