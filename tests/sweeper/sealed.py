"""Noting the digests of all that a store holds, as if it had been recorded as it is."""

from __future__ import annotations

from sqlalchemy import Connection, text

from sweeper.store.seals import seal

ROWS = {  # what -> the statement that names its rows
    "sweep": "SELECT id FROM sweeper.sweep",
    "teacher": "SELECT id FROM sweeper.sweep",
    "launch": "SELECT id FROM sweeper.launch",
    "study": "SELECT id FROM sweeper.study",
    "calibration": "SELECT id FROM sweeper.study",
    "trial": "SELECT study_id, number FROM sweeper.trial",
    "segment": "SELECT id FROM sweeper.segment",
}


def seal_all(connection: Connection) -> None:
    """Forget every digest, and note that of each row as it is now."""
    connection.execute(text("DELETE FROM sweeper.event WHERE kind = 'sealed'"))
    for what, statement in ROWS.items():
        for row in connection.execute(text(statement)).all():
            seal(connection, what, *row)
