"""What the commands that only look share: the connection, and which sweep is meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import Connection

from sweeper.core.config import FILE_NAME, load_config
from sweeper.postgres.engine import database_errors
from sweeper.store.database import Store, open_store
from sweeper.store.lookup import find_sweep, sweep_names


@contextmanager
def opened(database: str | None) -> Iterator[Store]:
    """Yield a store that is ready; a connection that is lost becomes one line with its URL."""
    store = open_store(database, f"sweeper {click.get_current_context().info_name}")
    try:
        with database_errors(store.url):
            yield store
    finally:
        store.close()


def choose_sweep(connection: Connection, given: str | None) -> str | None:
    """Return the sweep that is meant: the given one, else sweeper.toml's, else the only one.

    None means all of them. What was not given is said on standard error. Raises SweeperError for
    a sweep that is not there.
    """
    if given is not None:
        return str(find_sweep(connection, given).name)
    configured = load_config().sweep
    if configured is not None:
        found = str(find_sweep(connection, configured).name)
        click.echo(f"sweep: {found} ({FILE_NAME})", err=True)
        return found
    names = sweep_names(connection)
    if len(names) == 1:
        click.echo(f"sweep: {names[0]} (the only one)", err=True)
        return names[0]
    said = f"all {len(names)}, --sweep chooses one" if names else "none yet, see `sweeper launch`"
    click.echo(f"sweep: {said}", err=True)
    return None
