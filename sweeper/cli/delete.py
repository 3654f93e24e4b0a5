"""`sweeper delete`: a sweep or one of its methods goes, with its checkpoints."""

from __future__ import annotations

import sys

import click

from sweeper.cli.database_option import database_option
from sweeper.cli.store_access import opened
from sweeper.cli.tables import byte_size
from sweeper.core.errors import SweeperError
from sweeper.scheduler.removal import Removal, plan_removal, remove

EXAMPLES = """\b
Examples:
  sweeper delete shapes
  sweeper delete shapes --method kd --yes
"""

DECLINED = 1


@click.command(name="delete", epilog=EXAMPLES)
@click.argument("sweep")
@click.option("--method", help="Only this method, with all its searches.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@database_option
def command(sweep: str, method: str | None, yes: bool, database: str | None) -> None:
    """Remove SWEEP: its trials, Optuna's studies and its checkpoints; it cannot be undone.

    Teachers stay: other sweeps may use them. Refused while a driver is alive.
    """
    with opened(database) as store:
        with store.engine.connect() as connection:
            removal = plan_removal(connection, sweep, method)
        _echo(removal)
        confirm("delete all this?", "deleted", yes=yes)
        remove(store, removal)
    click.echo("deleted")


def _echo(removal: Removal) -> None:
    what = "sweep" if removal.is_whole else "of sweep"
    click.echo(f"{what} {removal.sweep}: {removal.trials} trials")
    click.echo(f"Optuna's studies: {', '.join(removal.studies) or 'none'}")
    click.echo(f"checkpoints: {len(removal.files)} files, {byte_size(removal.bytes)}")
    for folder in sorted({file.parent for file in removal.files}):
        click.echo(f"  {folder}")
    if removal.logs:
        click.echo(f"logs: {len(removal.logs)} files")


def confirm(question: str, done: str, *, yes: bool) -> None:
    """Ask whether what was shown shall be `done`; a no ends the command."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise SweeperError(f"nobody can be asked whether this is to be {done}: give --yes")
    if not click.confirm(question):
        click.echo(f"nothing was {done}", err=True)
        click.get_current_context().exit(DECLINED)
