"""Stop the embedded server when nobody has been connected for a while.

Run as `python -m sweeper.postgres.idle_shutdown HOME RUNTIME` by whoever starts the server; a
second one beside it ends at once. It imports no torch, Optuna or SQLAlchemy: it lives as long as
the server does.
"""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection

from sweeper.core.errors import DatabaseError
from sweeper.postgres.embedded import CLIENTS, IDLE_S, Embedded
from sweeper.postgres.file_locks import locked

POLL_S = 10.0
RETRY_S = 0.2
SESSIONS = "SELECT sum(sessions) FROM pg_stat_database"


def watch(embedded: Embedded) -> None:
    """Return when the server has stopped, by this process or otherwise."""
    while embedded.is_running:
        try:
            with closing(embedded.connect("postgres")) as session:
                if _stopped(embedded, session):
                    return
        except psycopg2.Error:
            time.sleep(RETRY_S)  # ending, or recovering from a crash


def _stopped(embedded: Embedded, session: Connection) -> bool:
    """Look again and again; return True after stopping the server, raise when it has gone."""
    state = embedded.state()
    idle_s = IDLE_S if state is None else state.idle_s
    poll_s = min(POLL_S, idle_s / 4)
    last_use = time.time()
    seen = _sessions(session)
    while True:
        select.select([session], [], [], poll_s)  # wakes at once when the server ends
        os.utime(embedded.layout.state)  # the heartbeat that other hosts see
        sessions = _sessions(session)
        if sessions != seen or _num_clients(session):
            seen, last_use = sessions, time.time()
        last_use = max(last_use, embedded.last_use())
        if time.time() - last_use >= idle_s and embedded.stop_if_unused(last_use):
            return True


def _sessions(session: Connection) -> int:
    """Return how many sessions there ever were: clients that came and went between two looks."""
    with session.cursor() as cursor:
        cursor.execute(SESSIONS)
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _num_clients(session: Connection) -> int:
    with session.cursor() as cursor:
        cursor.execute(CLIENTS)
        return len(cursor.fetchall())


def main() -> None:
    """Watch the server of one home, unless somebody does so already."""
    home, runtime = sys.argv[1:]
    embedded = Embedded(Path(home), Path(runtime))
    # A server started while the lock was still held has no other watcher: hence the loop.
    with suppress(DatabaseError, FileNotFoundError):
        while embedded.is_running:
            with locked(embedded.layout.watcher, 0.0):
                watch(embedded)


if __name__ == "__main__":
    main()
