"""The tables of the code are those of the database, and each column is explained."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from sweeper.store.schema import metadata

UNEXPLAINED = """
SELECT c.relname, a.attname FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'sweeper'::regnamespace AND c.relkind = 'r'
  AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)
"""


def test_the_revisions_make_exactly_the_tables_of_the_code(engine: Engine) -> None:
    options = {
        "include_schemas": True,
        "include_name": lambda name, kind, _: kind != "schema" or name == "sweeper",
        "version_table_schema": "sweeper",
        "compare_type": True,
        "compare_server_default": True,
    }
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_every_table_and_column_is_explained(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(text(UNEXPLAINED)).all() == []
