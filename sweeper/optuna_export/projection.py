"""Optuna's tables as a projection of the log: for the dashboard and every Optuna tool.

Nothing writes with Optuna but this and, for whole studies, `study_attributes.py`. It is
idempotent: a trial is brought to what the log says, however often that is asked for, and its
`projected_revision` then says so. `ask` and `enqueue_trial` are not used: a plan is the log's, and
a trial's number is its place in it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.artifacts import ArtifactMeta
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from sqlalchemy import Connection, Engine, Row, select, text, tuple_, update
from sqlalchemy.exc import SQLAlchemyError

from sweeper.core.names import study_name
from sweeper.optuna_export.artifacts import attribute, curve_of, predictions
from sweeper.optuna_export.notes import trial_note, write_trial_note
from sweeper.optuna_export.study_attributes import Presentation
from sweeper.search.sampler import distributions
from sweeper.search.space import Space, known_space
from sweeper.store.log import TrialKey
from sweeper.store.schema import rung, study, sweep, trial

logger = logging.getLogger(__name__)

LOCK_KEY = 20230903  # with the sweep's id: one process at a time projects a sweep
LOCK = text("SELECT pg_advisory_lock(:key, :sweep)")
UNLOCK = text("SELECT pg_advisory_unlock(:key, :sweep)")


@dataclass(frozen=True, kw_only=True)
class Details:
    """What the log holds of changed trials beside their rows."""

    values: dict[TrialKey, dict[int, float]]  # step -> mIoU
    pictures: dict[TrialKey, ArtifactMeta]


class Projection:
    """Writes what has changed in the log into Optuna's tables."""

    def __init__(self, engine: Engine, storage: BaseStorage) -> None:
        self.engine = engine
        self.storage = storage
        self._presentation = Presentation(storage)
        optuna.logging.set_verbosity(optuna.logging.WARNING)

    def update(self, sweep_id: int) -> int:
        """Project every trial of a sweep that has changed; return how many.

        A failure is a warning: the log is not touched by it, and the next call mends it.
        """
        try:
            return self._update_alone(sweep_id)
        except (SQLAlchemyError, StorageInternalError) as error:
            reason = str(error).partition("\n")[0]
            logger.warning("Optuna's tables are behind the log for now: %s", reason)
            return 0

    def _update_alone(self, sweep_id: int) -> int:
        """Let one process at a time project a sweep: two would give one trial two numbers."""
        # A session's lock, on a connection of its own: Optuna commits on its connections many times
        # in between, and a transaction's lock would end with the first of these commits.
        key = {"key": LOCK_KEY, "sweep": sweep_id}
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(LOCK, key)
            try:
                return self._update(connection, sweep_id)
            finally:
                connection.execute(UNLOCK, key)

    def repair(self, sweep_id: int) -> int:
        """Make the Optuna studies of a sweep anew from the log; return the number of trials."""
        with self.engine.begin() as connection:
            rows = list(connection.execute(_studies(sweep_id)))
            self.delete([study_name(row.name, row.method, row.repeat) for row in rows])
            connection.execute(
                update(trial)
                .where(trial.c.study_id.in_([row.id for row in rows]))
                .values(projected_revision=0)
            )
        self._presentation.forget(sweep_id)
        return self.update(sweep_id)

    def _update(self, connection: Connection, sweep_id: int) -> int:
        self._presentation.update(connection, sweep_id)
        rows = list(connection.execute(_changed(sweep_id)))
        keys = [(row.study_id, row.number) for row in rows]
        details = Details(
            values=_rung_values(connection, keys), pictures=predictions(connection, keys)
        )
        by_study: dict[str, list[Row[Any]]] = {}
        for row in rows:
            by_study.setdefault(study_name(row.sweep, row.method, row.repeat), []).append(row)
        for name, changed in by_study.items():
            self._update_study(name, changed, details)
            _mark(connection, changed)
        return len(rows)

    def delete(self, names: list[str]) -> None:
        """Remove the studies of these names from Optuna's tables, where they are there."""
        known = set(optuna.get_all_study_names(self.storage))
        for name in names:
            if name in known:
                optuna.delete_study(study_name=name, storage=self.storage)

    def _update_study(self, name: str, rows: list[Row[Any]], details: Details) -> None:
        study_id = self._study_id(name)
        space = known_space(rows[0].space, rows[0].calibration)
        for row in rows:
            identifier = self._trial_id(study_id, row, space)
            with suppress(UpdateFinishedTrialError):  # by one who died before it could say so
                self._report(identifier, row, details)
                if row.state != "RUNNING":
                    self._show_pictures(study_id, identifier, row, details)
                    self._finish(name, identifier, row)

    def _study_id(self, name: str) -> int:
        try:
            return self.storage.get_study_id_from_name(name)
        except KeyError:
            return self.storage.create_new_study([StudyDirection.MAXIMIZE], name)

    def _report(self, identifier: int, row: Row[Any], details: Details) -> None:
        """Write the values that may be new: every rung raised the revision, in rising order."""
        values = details.values.get((row.study_id, row.number), {})
        # Each rung raises the revision by one, and so does the decision, which comes last. So the
        # last (revision - projected_revision) values may be new; writing one again does no harm.
        for step in sorted(values)[row.projected_revision - row.revision :]:
            self.storage.set_trial_intermediate_value(identifier, step, values[step])

    def _show_pictures(
        self, study_id: int, identifier: int, row: Row[Any], details: Details
    ) -> None:
        """Announce a trial's pictures while it may still be changed, and show them in its note."""
        key = (row.study_id, row.number)
        pictures = [curve_of(key)]
        if key in details.pictures:
            pictures.append(details.pictures[key])
            self.storage.set_trial_system_attr(identifier, *attribute(details.pictures[key]))
        body = trial_note(study_id, identifier, pictures)
        write_trial_note(self.storage, study_id, identifier, body)

    def _finish(self, name: str, identifier: int, row: Row[Any]) -> None:
        if row.reason:
            self.storage.set_trial_user_attr(identifier, "reason", row.reason.splitlines()[0])
        if row.diverged:
            self._show_divergence(name, identifier)
        result = [row.score] if row.state != "FAIL" and row.score is not None else None
        self.storage.set_trial_state_values(identifier, TrialState[row.state], result)

    def _show_divergence(self, name: str, identifier: int) -> None:
        projected = optuna.load_study(study_name=name, storage=self.storage)
        live = optuna.Trial(projected, identifier)
        if "diverged" not in live.constraints:
            live.set_constraint("diverged", 1.0)

    def _trial_id(self, study_id: int, row: Row[Any], space: Space) -> int:
        """Return Optuna's id of a trial, added if it is not there yet."""
        try:
            return self.storage.get_trial_id_from_study_id_trial_number(study_id, row.number)
        except KeyError:
            pass  # rows come by number and none is projected before its predecessor: it is next
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(row.params),
            distributions=distributions(space, row.params),
            user_attrs={"origin": row.origin, "bracket": row.bracket},
            system_attrs=dict([attribute(curve_of((row.study_id, row.number)))]),
        )
        return self.storage.create_new_trial(study_id, template)


def _mark(connection: Connection, rows: list[Row[Any]]) -> None:
    """Note what was projected, in one statement; what was changed meanwhile is projected again."""
    seen = [(row.study_id, row.number, row.revision) for row in rows]
    connection.execute(
        update(trial)
        .where(tuple_(trial.c.study_id, trial.c.number, trial.c.revision).in_(seen))
        .values(projected_revision=trial.c.revision)
    )


def _studies(sweep_id: int) -> Any:
    return (
        select(study.c.id, study.c.method, study.c.repeat, sweep.c.name)
        .join(sweep, sweep.c.id == study.c.sweep_id)
        .where(sweep.c.id == sweep_id, sweep.c.confirms.is_(None))
    )


def _changed(sweep_id: int) -> Any:
    return (
        select(
            trial,
            study.c.method,
            study.c.repeat,
            study.c.space,
            study.c.calibration,
            sweep.c.name.label("sweep"),
        )
        .join(study, study.c.id == trial.c.study_id)
        .join(sweep, sweep.c.id == study.c.sweep_id)
        .where(
            study.c.sweep_id == sweep_id,
            sweep.c.confirms.is_(None),  # what was chosen is no search: Optuna has no use for it
            trial.c.projected_revision < trial.c.revision,
        )
        # Optuna numbers trials as they are added. In the order of our numbers, with none left out,
        # its number is ours: without the ORDER BY they would differ for ever.
        .order_by(trial.c.study_id, trial.c.number)
    )


def _rung_values(connection: Connection, keys: list[TrialKey]) -> dict[TrialKey, dict[int, float]]:
    values: dict[TrialKey, dict[int, float]] = {}
    query = select(rung).where(tuple_(rung.c.study_id, rung.c.number).in_(keys))
    for row in connection.execute(query) if keys else ():
        values.setdefault((row.study_id, row.number), {})[row.step] = row.score
    return values
