"""`sweeper db`: start, stop, back up or reach the database."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sweeper.cli.database_option import database_option
from sweeper.core.errors import DatabaseError
from sweeper.postgres.embedded import Embedded
from sweeper.postgres.url import masked
from sweeper.store.database import chosen_url, embedded_server, resolve_url
from sweeper.store.dump import dump as write_dump
from sweeper.store.dump import psql_command
from sweeper.store.dump import restore as read_dump
from sweeper.store.initialise import initialise
from sweeper.store.server_status import server_facts


def _example(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  sweeper db {line}" for line in lines)


@click.group(name="db", epilog=_example("status", "psql", "dump before-upgrade.dump"))
def command() -> None:
    """Start, stop, back up or reach the database.

    Without a URL it is an embedded PostgreSQL under SWEEPER_HOME: it starts at first need and stops
    when nobody has been connected for ten minutes.
    """


@command.command(epilog=_example("init", "init --database postgresql://me@db.example/sweeps"))
@database_option
def init(database: str | None) -> None:
    """Make or complete the tables, ours and Optuna's, and the role that may only read."""
    url = resolve_url(database)
    for note in initialise(url):
        click.echo(f"note: {note}", err=True)
    click.echo(f"ready: {masked(url)}")


@command.command(epilog=_example("upgrade"))
@database_option
def upgrade(database: str | None) -> None:
    """Bring the tables to this version of sweeper, while nothing drives a sweep."""
    url = resolve_url(database)
    before = server_facts(url).revision
    for note in initialise(url):
        click.echo(f"note: {note}", err=True)
    click.echo(f"revision: {before or 'none'} -> {server_facts(url).revision}")


@command.command(epilog=_example("start"))
@database_option
def start(database: str | None) -> None:
    """Start the embedded server, if it is not running, and print its URL."""
    click.echo(_embedded(database).ensure_running())


@command.command(epilog=_example("stop", "stop --force"))
@click.option("--force", is_flag=True, help="Disconnect the programs that are using it.")
@database_option
def stop(database: str | None, force: bool) -> None:
    """Stop the embedded server; it starts again at the next need."""
    embedded = _embedded(database)
    click.echo("stopped" if embedded.stop(force=force) else "was not running")


@command.command(epilog=_example("status"))
@database_option
def status(database: str | None) -> None:
    """Show whether the server runs, where, since when, its size and its clients."""
    url = chosen_url(database)
    embedded = None if url else embedded_server()
    if embedded is not None:
        click.echo(f"embedded  {embedded.layout.folder}")
        if not embedded.is_running:
            click.echo("running   no; it starts at first need")
            return
        embedded.refuse_other_host()
    _echo_facts(url or embedded_server().url)


def _echo_facts(url: str) -> None:

    facts = server_facts(url)
    clients = f"{len(facts.clients)}" + (f" ({', '.join(facts.clients)})" if facts.clients else "")
    click.echo(f"url       {masked(url)}")
    click.echo(f"running   PostgreSQL {facts.version} since {facts.started:%Y-%m-%d %H:%M} UTC")
    click.echo(f"size      {facts.size_bytes / 1e6:.1f} MB")
    click.echo(f"clients   {clients}")
    click.echo(f"revision  {facts.revision or 'none; run `sweeper db init`'}")


@command.command(epilog=_example("url"))
@database_option
def url(database: str | None) -> None:
    """Print the URL for other programs, such as Optuna's; a password in it is masked."""
    click.echo(masked(resolve_url(database)))


@command.command(
    epilog=_example("psql", "psql -- -c 'SELECT * FROM sweeper.leaderboard'"),
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@database_option
def psql(database: str | None, arguments: tuple[str, ...]) -> None:
    """Open PostgreSQL's own terminal on the database; it gets the ARGUMENTS."""
    program, argv, environment = psql_command(resolve_url(database), list(arguments))
    os.execve(program, argv, environment)


@command.command(epilog=_example("dump before-upgrade.dump"))
@click.argument("file", type=click.Path(path_type=Path))
@database_option
def dump(database: str | None, file: Path) -> None:
    """Write the whole database to a new FILE."""
    write_dump(resolve_url(database), file)
    click.echo(f"wrote {file} ({file.stat().st_size / 1e6:.1f} MB)")


@command.command(epilog=_example("restore before-upgrade.dump"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace the store that is there.")
@database_option
def restore(database: str | None, file: Path, overwrite: bool) -> None:
    """Bring back the database from a FILE that `dump` wrote, into an empty one."""
    for note in read_dump(resolve_url(database), file, overwrite):
        click.echo(f"note: {note}", err=True)
    click.echo(f"restored {file}")


def _embedded(database: str | None) -> Embedded:
    """Return the embedded server; DatabaseError where another one was chosen."""
    url = chosen_url(database)
    if url is not None:
        raise DatabaseError(
            f"the database is {masked(url)}, which is not sweeper's to start or stop; leave out"
            " --database, SWEEPER_DATABASE_URL and the key of sweeper.toml for the embedded one"
        )
    return embedded_server()
