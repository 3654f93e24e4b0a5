"""Everything a new database needs: our schema, Optuna's tables, a role that may only read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from sweeper.core.errors import DatabaseError
from sweeper.postgres.cluster import READER
from sweeper.postgres.engine import connect_engine, connect_storage, database_errors, is_embedded
from sweeper.postgres.url import masked
from sweeper.store import migrations
from sweeper.store.columns import SCHEMA

LOCK_KEY = 7_311_967_130_120_402  # any number, the same for every sweeper
RIGHTS = text(
    """
SELECT current_user AS who, current_database() AS base, current_schema() AS fallback,
       has_database_privilege(current_database(), 'CREATE') AS may_schema,
       has_schema_privilege(current_schema(), 'CREATE') AS may_table,
       to_regnamespace(:schema) IS NOT NULL AS has_schema,
       to_regclass('version_info') IS NOT NULL AS has_optuna
"""
)
OPTUNA_READY = text("SELECT to_regclass('alembic_version') IS NOT NULL")
OWN_TABLES = text(
    """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v')
  AND pg_has_role(c.relowner, 'USAGE')
"""
)


def initialise(url: str) -> list[str]:
    """Make or complete the store at `url`, safe to repeat and to run twice at once.

    Returns what the user should know, for example that the reader's role could not be made. Raises
    DatabaseError where rights are missing or the store is newer than this code.
    """
    engine = connect_engine(url, "sweeper db init")
    try:
        with database_errors(url), _alone(engine):
            _keep_apart(engine)
            _check_rights(engine, url)
            migrations.upgrade(engine)
            connect_storage(url).engine.dispose()
            return make_reader(engine)
    finally:
        engine.dispose()


def ensure_schema(url: str) -> list[str]:
    """Initialise an empty database and return its notes; nothing happens to one that is ready.

    Raises DatabaseError where the store's version is another one: an older sweeper may be driving.
    """
    engine = connect_engine(url, "sweeper")
    try:
        with database_errors(url):
            found = migrations.current(engine)
            if found == migrations.head() and _is_complete(engine):
                return []
            if found not in (None, migrations.head()):
                _refuse(engine, found)
    finally:
        engine.dispose()
    return initialise(url)


def _refuse(engine: Engine, found: str | None) -> None:
    with engine.connect() as connection:
        migrations.refuse_newer(connection)
    raise DatabaseError(
        f"the store is at revision {found!r}, this sweeper needs {migrations.head()!r}; run"
        " `sweeper db upgrade` while nothing drives a sweep"
    )


def _is_complete(engine: Engine) -> bool:
    with engine.connect() as connection:
        ready = bool(connection.scalar(OPTUNA_READY))
        return ready and migrations.views_are_current(connection)


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Let one `initialise` at a time into a database; the lock ends with its connection."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})


def _keep_apart(engine: Engine) -> None:
    """Keep Optuna's tables out of our schema, where a user of its name would put them."""
    with engine.begin() as connection:
        if connection.scalar(text("SELECT current_user")) != SCHEMA:
            return
        base = connection.scalar(text("SELECT quote_ident(current_database())"))
        connection.exec_driver_sql(
            f"ALTER ROLE CURRENT_USER IN DATABASE {base} SET search_path = public"
        )
    engine.dispose()  # the setting holds for new connections


def _check_rights(engine: Engine, url: str) -> None:
    with engine.connect() as connection:
        rights = connection.execute(RIGHTS, {"schema": SCHEMA}).one()
    wanted = []
    if not rights.may_schema and not rights.has_schema:
        wanted.append(f'GRANT CREATE ON DATABASE "{rights.base}" TO "{rights.who}"')
    if not rights.may_table and not rights.has_optuna:
        place = rights.fallback or "public"
        wanted.append(f'GRANT CREATE, USAGE ON SCHEMA "{place}" TO "{rights.who}"')
    if wanted:
        raise DatabaseError(
            f"{masked(url)}: user {rights.who!r} may not create the tables here (since PostgreSQL"
            " 15 only a database's owner may, in the schema public); let its owner run:"
            f" {'; '.join(wanted)};"
        )


def make_reader(engine: Engine) -> list[str]:
    """Make the role that may only read, with its grants; returns a note where that is refused."""
    try:
        with engine.begin() as connection:
            _create_role(connection)
            _grant_reading(connection)
            connection.execute(text(f"SET LOCAL ROLE {READER}"))
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != "42501":  # insufficient privilege
            raise
        return [
            f"role {READER} is not ready ({' '.join(str(error.orig).split())}), so `sweeper query`"
            f" and the dashboard will not work; let an administrator run: CREATE ROLE {READER};"
            f" GRANT {READER} TO CURRENT_USER (your user); then run `sweeper db init` again"
        ]
    return []


def _create_role(connection: Connection) -> None:
    known = text("SELECT FROM pg_roles WHERE rolname = :name")
    if connection.execute(known, {"name": READER}).first() is None:
        connection.execute(text(f"CREATE ROLE {READER} NOLOGIN"))
        connection.execute(text(f"GRANT {READER} TO CURRENT_USER"))
    if is_embedded(connection):
        # As its own login it cannot be left by any statement; the socket lets only the owner in.
        connection.execute(text(f"ALTER ROLE {READER} LOGIN"))


def _grant_reading(connection: Connection) -> None:
    place = connection.scalar(text("SELECT quote_ident(current_schema())"))
    for schema in (SCHEMA, place):
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {READER}")
        connection.exec_driver_sql(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {READER}"
        )
    connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {READER}")
    for table in connection.scalars(OWN_TABLES).all():
        connection.exec_driver_sql(f"GRANT SELECT ON {table} TO {READER}")
