"""Noting the digests of all that a store holds, as if it had been recorded as it is."""

from __future__ import annotations

from sqlalchemy import Connection, text

from sweeper.store.row_digests import DIGEST, ROWS


def add_all_digests(connection: Connection) -> None:
    """Forget every digest, and note that of each row as it is now."""
    connection.execute(text(f"DELETE FROM sweeper.event WHERE kind = '{DIGEST}'"))
    for rows in ROWS.values():
        noted = "jsonb_build_object('what', what, 'key', key, 'digest', digest)"
        selected = f"SELECT sweep_id, study_id, '{DIGEST}', {noted} FROM ({rows}) AS digests"
        into = "INSERT INTO sweeper.event (sweep_id, study_id, kind, detail)"
        connection.execute(text(f"{into} {selected}"))
