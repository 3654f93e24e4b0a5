"""The connection to a database: one place for every setting and every refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg2
from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from sweeper.core.errors import DatabaseError
from sweeper.postgres.cluster import CLUSTER_NAME
from sweeper.postgres.url import masked, parse_url, rendered, with_settings

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

MIN_MAJOR = 15
REMEDIES = {
    "password": "give the password in the URL, in PGPASSWORD or in ~/.pgpass",
    "no pg_hba.conf entry": "let the server admit this host and user",
    'database "': "create the database first: CREATE DATABASE ...",
    'role "': "check the user's name in the URL",
    "could not translate": "check the host's name in the URL",
    "unsupported startup parameter": "connect to PostgreSQL itself, not through PgBouncer",
    "permission denied": "ask the owner of the database for that right",
}


def connect_engine(url: str, application_name: str = "sweeper", role: str | None = None) -> Engine:
    """Return an engine that has connected once, with UTC and a name on every connection.

    With `role`, every connection acts as that role from its start. Raises DatabaseError when the
    server cannot be reached, refuses the user, or is older than PostgreSQL 15.
    """
    settings = {"timezone": "UTC"} | ({} if role is None else {"role": role})
    full = with_settings(parse_url(url), application_name, settings)
    engine = create_engine(full, pool_pre_ping=True)
    with database_errors(url), engine.connect() as connection:
        _check_version(connection, url)
    return engine


def optuna_url(url: str, application_name: str = "sweeper optuna") -> str:
    """Return the URL with the same settings, for Optuna; it holds the password: never show it.

    Its commits do not wait for the disk. Those of the log do, and what was committed before them is
    then on the disk too: what the log says was projected is as safe as the log itself.
    """
    settings = {"timezone": "UTC", "synchronous_commit": "off"}
    return rendered(with_settings(parse_url(url), application_name, settings))


def connect_storage(url: str) -> RDBStorage:
    """Return Optuna's storage on the same database; its tables are made where they are absent.

    Never pickle or fork it. Its connections end with `storage.engine.dispose()`.
    """
    from optuna.storages import RDBStorage  # loads optuna

    with database_errors(url):
        return RDBStorage(optuna_url(url), engine_kwargs={"pool_pre_ping": True})


@contextmanager
def database_errors(url: str | URL) -> Iterator[None]:
    """Turn the driver's errors in the body into one DatabaseError with the masked URL."""
    try:
        yield
    except (DBAPIError, psycopg2.Error) as error:
        raise DatabaseError(_explained(url, error)) from error


def is_embedded(connection: Connection) -> bool:
    """Return whether the server is an embedded one, where the reader may log in by itself."""
    return bool(connection.scalar(text("SHOW cluster_name")) == CLUSTER_NAME)


def _check_version(connection: Connection, url: str) -> None:
    version = connection.scalar(text("SHOW server_version_num"))
    if int(str(version)) < MIN_MAJOR * 10_000:
        found = connection.scalar(text("SHOW server_version"))
        raise DatabaseError(
            f"{masked(url)} runs PostgreSQL {found}, but {MIN_MAJOR} or newer is needed; upgrade"
            " it, or leave --database out to use the embedded server"
        )


def _explained(url: str | URL, error: DBAPIError | psycopg2.Error) -> str:
    said = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
    password = (parse_url(url) if isinstance(url, str) else url).password
    if password and len(str(password)) > 2:
        said = said.replace(str(password), "***")
    remedy = next((remedy for sign, remedy in REMEDIES.items() if sign in said), None)
    return f"{masked(url)}: {said}" + (f"; {remedy}" if remedy else "")
