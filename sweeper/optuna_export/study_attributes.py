"""How a sweep's studies present themselves in Optuna: their attributes, and notes to read.

Only what concerns whole studies, which seldom changes: it is looked at again when the sweep gets
a method, a larger budget, or a study changes its state.
"""

from __future__ import annotations

import warnings
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import Study
from sqlalchemy import Connection, Row, select

from sweeper.core.names import study_name
from sweeper.optuna_export.notes import Subject, study_note, write_study_note
from sweeper.search.protocol import task_of
from sweeper.search.space import known_space
from sweeper.store.schema import study, sweep

COLUMNS = (
    *(study.c.id, study.c.method, study.c.repeat, study.c.budget, study.c.state),
    study.c.calibration.is_(None),
)


class Presentation:
    """Keeps what Optuna's tables say of whole studies true."""

    def __init__(self, storage: BaseStorage) -> None:
        self.storage = storage
        self._shown: dict[
            int, list[tuple[Any, ...]]
        ] = {}  # sweep's id -> its studies, as last shown

    def update(self, connection: Connection, sweep_id: int) -> None:
        """Show every study of a sweep; one query where nothing has changed since the last time."""
        query = (
            select(*COLUMNS)
            .join(sweep, sweep.c.id == study.c.sweep_id)
            .where(sweep.c.id == sweep_id, sweep.c.confirms.is_(None))
            .order_by(study.c.id)
        )
        rows = [tuple(row) for row in connection.execute(query)]
        if self._shown.get(sweep_id) != rows:
            self._show(list(connection.execute(_details(sweep_id))))
            self._shown[sweep_id] = rows

    def forget(self, sweep_id: int) -> None:
        """Show the sweep's studies anew at the next update, whatever was shown before."""
        self._shown.pop(sweep_id, None)

    def _show(self, rows: list[Row[Any]]) -> None:
        subjects = [self._subject(row) for row in rows]
        for subject in subjects:
            siblings = [other for other in subjects if other is not subject]
            write_study_note(self.storage, subject.optuna_id, study_note(subject, siblings))

    def _subject(self, row: Row[Any]) -> Subject:
        """Return a study as notes speak of it; it is made in Optuna, and described, if need be."""
        name = study_name(row.sweep, row.method, row.repeat)
        shown = optuna.create_study(
            study_name=name, storage=self.storage, direction="maximize", load_if_exists=True
        )
        _describe(shown, row)
        return Subject(
            optuna_id=self.storage.get_study_id_from_name(name),
            name=name,
            method=row.method,
            budget=row.budget,
            state=row.state,
            space=known_space(row.space, row.calibration),
            task=task_of(row.protocol),
            plan=row.protocol["plan"],
        )


def _details(sweep_id: int) -> Any:
    return (
        select(study, sweep.c.name.label("sweep"), sweep.c.protocol, sweep.c.protocol_hash)
        .join(sweep, sweep.c.id == study.c.sweep_id)
        .where(sweep.c.id == sweep_id)
        .order_by(study.c.id)
    )


def _describe(shown: Study, row: Row[Any]) -> None:
    wanted = {
        "sweep": row.sweep,
        "method": row.method,
        "repeat": row.repeat,
        "space_hash": row.space_hash,
        "code_hash": row.code_hash,
        "protocol_hash": row.protocol_hash,
    }
    present, metric = shown.user_attrs, task_of(row.protocol).metric
    if shown.metric_names != [metric]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            shown.set_metric_names([metric])
    for key, value in wanted.items():
        if present.get(key) != value:
            shown.set_user_attr(key, value)
