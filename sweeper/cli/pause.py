"""`sweeper pause`: the driver of a sweep saves and ends; the same launch goes on."""

from __future__ import annotations

import time

import click

from sweeper.cli.database_option import database_option
from sweeper.cli.store_access import opened
from sweeper.core.names import this_user
from sweeper.scheduler.pause_and_cancel import pause
from sweeper.scheduler.progress import SweepOverview, read_overviews
from sweeper.store.database import Store
from sweeper.store.lookup import find_sweep

EXAMPLES = """\b
Examples:
  sweeper pause shapes
  sweeper pause shapes --no-wait
"""

POLL_S = 0.5


@click.command(name="pause", epilog=EXAMPLES)
@click.argument("sweep")
@click.option("--no-wait", is_flag=True, help="Return before the driver has ended.")
@database_option
def command(sweep: str, no_wait: bool, database: str | None) -> None:
    """Ask the driver of SWEEP to finish the running step, save and end; wait until it has.

    Nobody drives a paused sweep, not even a launch that was watching; the next `sweeper launch`
    resumes it.
    """
    with opened(database) as store:
        overview = _read(store, sweep)
        if overview.state == "done":
            click.echo(f"sweep {sweep} is done: there is nothing to pause")
            return
        with store.engine.connect() as connection:
            identifier = find_sweep(connection, sweep).id
        pause(store.engine, identifier, this_user())
        overview = _read(store, sweep)
        if not no_wait:
            overview = _wait(store, overview)
    click.echo(f"sweep {sweep} is {_outcome(overview)}")


def _wait(store: Store, overview: SweepOverview) -> SweepOverview:
    """Wait until the driver has let go, or somebody has resumed the sweep."""
    if overview.state == "driven":
        click.echo(
            f"waiting for {overview.driver} to finish the running step, save and end "
            "(Ctrl-C ends the waiting only)",
            err=True,
        )
    while overview.state == "driven" and overview.paused_by is not None:
        time.sleep(POLL_S)
        overview = _read(store, overview.name)
    return overview


def _read(store: Store, sweep: str) -> SweepOverview:
    with store.engine.connect() as connection:
        [overview] = read_overviews(connection, sweep)
    return overview


def _outcome(overview: SweepOverview) -> str:
    if overview.paused_by is None:
        return "no longer paused: a launch has resumed it"
    if overview.state == "done":
        return "done: its driver came to the end first"
    going_on = f"go on with `{overview.last_command or 'sweeper launch ...'}`"
    still = f", {overview.driver} is about to end" if overview.state == "driven" else ""
    return f"paused by {overview.paused_by}{still}; {going_on}"
