"""What `sweeper db status` says about a server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from sweeper.postgres.engine import connect_engine, database_errors
from sweeper.store.migrations import current

FACTS = text(
    """
SELECT current_setting('server_version') AS version, pg_postmaster_start_time() AS started,
       pg_database_size(current_database()) AS size_bytes,
       ARRAY(SELECT coalesce(nullif(application_name, ''), 'unnamed') FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
               AND application_name <> 'sweeper supervisor' ORDER BY 1) AS clients
"""
)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A running server, as seen from one of its databases."""

    version: str
    started: datetime
    size_bytes: int  # of the database
    clients: tuple[str, ...]  # names of the programs that are connected, to any database
    revision: str | None  # of our schema; None where there is none


def server_facts(url: str) -> Facts:
    """Return what the server says of itself; raises DatabaseError where it does not answer."""
    engine = connect_engine(url, "sweeper db status")
    try:
        with database_errors(url):
            revision = current(engine)
            with engine.connect() as connection:
                row = connection.execute(FACTS).one()
    finally:
        engine.dispose()
    return Facts(
        version=row.version,
        started=row.started,
        size_bytes=row.size_bytes,
        clients=tuple(row.clients),
        revision=revision,
    )
