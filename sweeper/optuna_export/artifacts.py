"""Pictures of trials as Optuna's artifacts: what announces them, and a store that reads them.

A prediction is a row of the table `picture`. A loss curve is drawn from the log whenever it is
asked for, also while its trial runs: the driver has nothing to draw or to store.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict
from typing import Any, BinaryIO

from optuna.artifacts import ArtifactMeta
from optuna.artifacts.exceptions import ArtifactNotFound
from sqlalchemy import Connection, Engine, Row, select, tuple_

from sweeper.core.errors import DatabaseError
from sweeper.core.names import trial_name
from sweeper.optuna_export.loss_curve import Curve, draw_curve
from sweeper.store.log import TrialKey
from sweeper.store.schema import PREDICTION, picture, study, sweep, trial
from sweeper.store.trial_details import RUNGS, SEGMENTS, kept_losses

PREFIX = "artifacts:"  # of an artifact's attribute; Optuna's name for this is private
CURVE = re.compile(r"c-([0-9a-f]+)-([0-9a-f]+)")  # the dashboard takes hexadecimal and - alone


def curve_of(key: TrialKey) -> ArtifactMeta:
    """Return what Optuna is told of a trial's loss curve."""
    name = f"c-{key[0]:x}-{key[1]:x}"
    return ArtifactMeta(name, filename="loss.svg", mimetype="image/svg+xml", encoding=None)


def predictions(connection: Connection, keys: list[TrialKey]) -> dict[TrialKey, ArtifactMeta]:
    """Return what Optuna is told of the trials' predictions, of those that have one."""
    columns = (picture.c.study_id, picture.c.number, picture.c.id, picture.c.media_type)
    query = select(*columns).where(
        tuple_(picture.c.study_id, picture.c.number).in_(keys), picture.c.kind == PREDICTION
    )
    return {
        (row.study_id, row.number): ArtifactMeta(
            row.id, filename="prediction.png", mimetype=row.media_type, encoding=None
        )
        for row in (connection.execute(query) if keys else ())
    }


def attribute(meta: ArtifactMeta) -> tuple[str, str]:
    """Return key and value of the attribute by which Optuna's tools find an artifact."""
    return PREFIX + meta.artifact_id, json.dumps(asdict(meta))


class LogArtifacts:
    """Optuna's artifact store over the log; it only reads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Return an artifact's content; ArtifactNotFound where there is none of that name."""
        curve = CURVE.fullmatch(artifact_id)
        with self.engine.connect() as connection:
            if curve is not None:
                content = _drawn(connection, (int(curve[1], 16), int(curve[2], 16)))
            else:
                query = select(picture.c.content).where(picture.c.id == artifact_id)
                content = connection.scalar(query)
        if content is None:
            raise ArtifactNotFound(f"no artifact {artifact_id!r} in the log")
        return io.BytesIO(content)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:  # noqa: ARG002 - Optuna's
        """Refuse: the log's pictures come from the sweep alone."""
        raise _read_only(artifact_id)

    def remove(self, artifact_id: str) -> None:
        """Refuse: pictures go with their method, by `sweeper delete`."""
        raise _read_only(artifact_id)


def _read_only(artifact_id: str) -> DatabaseError:
    return DatabaseError(
        f"artifact {artifact_id!r}: pictures of trials are read only; a sweep makes them, and they "
        "go with their method, by `sweeper delete`"
    )


def _drawn(connection: Connection, key: TrialKey) -> bytes | None:
    """Return a trial's loss curve; None where there is no such trial."""
    row = connection.execute(_trial(key)).one_or_none()
    if row is None:
        return None
    values = {"study_id": key[0], "number": key[1]}
    rungs = connection.execute(RUNGS, values)
    curve = Curve(
        title=f"{trial_name(row.name, row.method, row.repeat, key[1])}, {_state(row)}",
        last_step=row.protocol["plan"]["rung_steps"][-1],
        losses=kept_losses(connection.execute(SEGMENTS, values)),
        rungs=[(rung.step, rung.score) for rung in rungs],
    )
    return draw_curve(curve)


def _trial(key: TrialKey) -> Any:
    return (
        select(trial, study.c.method, study.c.repeat, sweep.c.name, sweep.c.protocol)
        .join(study, study.c.id == trial.c.study_id)
        .join(sweep, sweep.c.id == study.c.sweep_id)
        .where(trial.c.study_id == key[0], trial.c.number == key[1])
    )


def _state(row: Row[Any]) -> str:
    return "diverged" if row.diverged else str(row.state).lower()
