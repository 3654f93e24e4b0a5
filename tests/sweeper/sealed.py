"""Noting the digests of all that a store holds, as if it had been recorded as it is."""

from __future__ import annotations

from sqlalchemy import Connection, text

from sweeper.store.row_digests import ROWS, SEALED


def seal_all(connection: Connection) -> None:
    """Forget every digest, and note that of each row as it is now."""
    connection.execute(text(f"DELETE FROM sweeper.event WHERE kind = '{SEALED}'"))
    for rows in ROWS.values():
        noted = "jsonb_build_object('what', what, 'key', key, 'seal', seal)"
        selected = f"SELECT sweep_id, study_id, '{SEALED}', {noted} FROM ({rows}) AS sealed"
        into = "INSERT INTO sweeper.event (sweep_id, study_id, kind, detail)"
        connection.execute(text(f"{into} {selected}"))
