"""The versions of the schema `sweeper`, applied by Alembic without a configuration file.

Tables change by revisions under `versions/`; a file begins with its revision. Views hold no
data: they are made anew from the code, and the schema's comment says from which text. Alembic is
loaded where something is changed: every command looks at the version.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from sweeper.core.errors import DatabaseError
from sweeper.store.columns import SCHEMA
from sweeper.store.views import VIEWS

UNRELEASED = tuple(f"000{n}" for n in range(1, 7))  # revisions before the first release
VERSION_TABLE = "alembic_version"
VERSION = f"{SCHEMA}.{VERSION_TABLE}"
EXISTING_VIEWS = text("SELECT viewname FROM pg_views WHERE schemaname = :schema")
COMMENT = text(
    "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = :schema"
)


def upgrade(engine: Engine) -> None:
    """Bring the schema to this code's version, in one transaction; safe to repeat.

    Raises DatabaseError where the store is newer than this code, or older than the first release.
    """
    from alembic import command  # loads alembic
    from alembic.config import Config  # loads alembic

    with engine.begin() as connection:
        refuse_newer(connection)
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        refresh_views(connection)


def refresh_views(connection: Connection) -> None:
    """Make every view anew where its text differs from the code's; grants are given again."""
    if views_are_current(connection):
        return
    for name in connection.scalars(EXISTING_VIEWS, {"schema": SCHEMA}).all():
        connection.execute(text(f'DROP VIEW IF EXISTS {SCHEMA}."{name}" CASCADE'))
    for name, query in VIEWS.items():
        connection.exec_driver_sql(f"CREATE VIEW {SCHEMA}.{name} AS {query}")
    connection.exec_driver_sql(f"COMMENT ON SCHEMA {SCHEMA} IS '{_description()}'")


def views_are_current(connection: Connection) -> bool:
    """Return whether the views in the database were made from this code's text."""
    found: str | None = connection.scalar(COMMENT, {"schema": SCHEMA})
    return found == _description()


def current(engine: Engine) -> str | None:
    """Return the store's revision, None for a database without our schema."""
    with engine.connect() as connection:
        return _revision(connection)


def head() -> str:
    """Return the revision that this code needs."""
    found = _known()
    if not found:
        raise DatabaseError(f"no revision under {Path(__file__).parent}; reinstall sweeper")
    return found[-1]


def refuse_newer(connection: Connection) -> None:
    """Raise DatabaseError where the store's revision is unknown to this code."""
    found = _revision(connection)
    if found is not None and found not in _known():
        if found in UNRELEASED:
            raise DatabaseError(
                f"the store is at revision {found!r}, of a sweeper before the first release, and "
                "cannot be taken over: name an empty database with --database (or another "
                "SWEEPER_HOME), and read the old one with the commit that wrote it"
            )
        raise DatabaseError(
            f"the store is at revision {found!r}, but this sweeper knows only up to {head()!r};"
            " install the version of sweeper that wrote it, or a newer one"
        )


def _known() -> list[str]:
    """Return every revision of this code, the last one at the end."""
    files = (Path(__file__).parent / "versions").glob("[0-9]*.py")
    return sorted(file.name.partition("_")[0] for file in files)


def _revision(connection: Connection) -> str | None:
    if connection.scalar(text("SELECT to_regclass(:table)"), {"table": VERSION}) is None:
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION}"))
    return found


def _description() -> str:
    digest = hashlib.sha256(repr(sorted(VIEWS.items())).encode()).hexdigest()[:12]
    return f"The log of every sweep; views {digest}"
