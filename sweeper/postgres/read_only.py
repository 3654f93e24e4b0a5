"""Reading without the power to change anything: one statement, as a role that may only SELECT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from sweeper.core.errors import DatabaseError
from sweeper.postgres.cluster import READER
from sweeper.postgres.engine import connect_engine, database_errors, is_embedded
from sweeper.postgres.url import masked, parse_url, rendered, with_settings

CURSOR = "sweeper_query"
TIMED_OUT = "57014"
SET_UP = text(
    "SELECT set_config('statement_timeout', :timeout_ms, true),"
    " set_config('sweeper.query', :sql, true)"
)
# A cursor takes exactly one statement that returns rows. The text travels as a value, since the
# driver's own protocol would run every statement between semicolons.
OPEN = f"""
DO $body$ DECLARE query refcursor := '{CURSOR}';
BEGIN OPEN query FOR EXECUTE current_setting('sweeper.query'); END $body$
"""


def run_readonly(
    engine: Engine, sql: str, timeout_s: float
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the columns' names and the rows of one statement that only reads.

    It runs on a connection of its own, in a read-only transaction, as the reader. On the embedded
    server the reader is the login itself; elsewhere the login takes the role on, so a reader is
    kept from mistakes there, not from its own URL. Raises DatabaseError with what was refused.
    """
    url = rendered(engine.url)
    reading = create_engine(reader_url(url, "sweeper query"), poolclass=NullPool)
    try:
        with reading.connect() as connection:
            return _fetch(connection, sql, timeout_s)
    except DBAPIError as error:
        raise DatabaseError(_refusal(error, timeout_s)) from error


def reader_url(url: str, application_name: str = "sweeper reader") -> str:
    """Return a URL whose connections are the reader's and read-only; it holds the password.

    Raises DatabaseError where `sweeper db init` has not made that role.
    """
    engine = connect_engine(url)
    try:
        with database_errors(url), engine.connect() as connection:
            known = text("SELECT FROM pg_roles WHERE rolname = :name")
            if connection.execute(known, {"name": READER}).first() is None:
                raise DatabaseError(f"{masked(url)} has no role {READER}; run `sweeper db init`")
            embedded = is_embedded(connection)
    finally:
        engine.dispose()
    settings = {"timezone": "UTC", "default_transaction_read_only": "on"}
    parsed = parse_url(url)
    if embedded:
        parsed = parsed.set(username=READER)
    else:
        settings["role"] = READER
    return rendered(with_settings(parsed, application_name, settings))


@contextmanager
def reader_engine(url: str, application_name: str) -> Iterator[Engine]:
    """Yield an engine of the reader for as long as the block runs; see `reader_url`."""
    engine = create_engine(reader_url(url, application_name), pool_pre_ping=True)
    try:
        yield engine
    finally:
        engine.dispose()


def _fetch(
    connection: Connection, sql: str, timeout_s: float
) -> tuple[list[str], list[tuple[Any, ...]]]:
    timeout_ms = str(max(1, round(timeout_s * 1000)))
    connection.execute(text("SET TRANSACTION READ ONLY"))
    connection.execute(SET_UP, {"timeout_ms": timeout_ms, "sql": sql})
    connection.exec_driver_sql(OPEN)
    result = connection.exec_driver_sql(f"FETCH ALL FROM {CURSOR}")
    columns, rows = list(result.keys()), [tuple(row) for row in result]
    if connection.scalar(text("SELECT current_user")) != READER:
        raise DatabaseError(f"the query left the role {READER}; its rows are withheld")
    return columns, rows


def _refusal(error: DBAPIError, timeout_s: float) -> str:
    if getattr(error.orig, "pgcode", None) == TIMED_OUT:
        return f"the query took longer than {timeout_s:g} s; narrow it, or raise the limit"
    diagnosis = getattr(error.orig, "diag", None)
    said = getattr(diagnosis, "message_primary", None) or " ".join(str(error.orig).split())
    hint = getattr(diagnosis, "message_hint", None)
    return f"query refused: {said}" + (f" ({hint})" if hint else "") + "; it must be one SELECT"
