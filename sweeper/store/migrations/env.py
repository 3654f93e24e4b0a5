"""Alembic's entry point; the connection and its transaction belong to the caller."""

from __future__ import annotations

from alembic import context

from sweeper.store import schema
from sweeper.store.columns import SCHEMA
from sweeper.store.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.sweep.metadata,
    version_table=VERSION_TABLE,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=lambda name, kind, _: kind != "schema" or name == SCHEMA,
)
context.run_migrations()
