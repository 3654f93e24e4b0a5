"""`sweeper watch`: the live view of a sweep that somebody else drives, from anywhere."""

from __future__ import annotations

from collections.abc import Sequence

import click
from sqlalchemy import Engine

from sweeper.cli.database_option import database_option
from sweeper.cli.status import driver_line, flight_line
from sweeper.cli.store_access import opened
from sweeper.driver.live_view import live_view
from sweeper.postgres.read_only import reader_engine
from sweeper.postgres.retry import retry_on_disconnect
from sweeper.scheduler.progress import SweepOverview, read_overviews, read_progress
from sweeper.search.protocol import plan_of
from sweeper.store.lookup import find_sweep
from trainers.runtime.terminal import stop_on_signal

EXAMPLES = """\b
Examples:
  sweeper watch shapes
  sweeper watch shapes --wait
"""

POLL_S = 1.0
MOST_FLIGHTS = 12  # that are shown one by one


@click.command(name="watch", epilog=EXAMPLES)
@click.argument("sweep")
@click.option("--wait", is_flag=True, help="Stay while nobody drives it, until it is done.")
@database_option
def command(sweep: str, wait: bool, database: str | None) -> None:
    """Follow SWEEP until it is done, or nobody drives it any more; Ctrl-C ends the watching only.

    It changes nothing. The rate is what was seen since it began to watch.
    """
    with opened(database) as store, reader_engine(store.url, "sweeper watch") as engine:
        last = _follow(engine, sweep, wait)
    click.echo(f"sweep {sweep}: {driver_line(last)}")


def _follow(engine: Engine, name: str, wait: bool) -> SweepOverview:
    """Show the sweep until there is nothing to wait for; return how it was at last."""
    with engine.connect() as connection:
        row = find_sweep(connection, name)
    plan, task = plan_of(row.protocol), row.protocol["task"]["name"]

    def read() -> SweepOverview:
        with engine.connect() as connection:
            [overview] = read_overviews(connection, name)
        return overview

    def about() -> Sequence[str]:
        overview = read()
        return _lines(overview) if _goes_on(overview, wait) else ()  # else it is said at the end

    title = f"sweep {name}, task {task}"
    # A signal only sets the event: raised in the midst of a query, SQLAlchemy would log it.
    with (
        stop_on_signal(_say_nothing) as stop,
        live_view(lambda: read_progress(engine, row.id, plan), title, about, stderr=False),
    ):
        while _goes_on(overview := retry_on_disconnect(read), wait):
            if stop.wait(POLL_S):
                raise KeyboardInterrupt
    return overview


def _say_nothing(line: str) -> None:
    """Watching has nothing to finish and nothing to save."""


def _goes_on(overview: SweepOverview, wait: bool) -> bool:
    return overview.state == "driven" or (wait and overview.state != "done")


def _lines(overview: SweepOverview) -> Sequence[str]:
    flights = overview.in_flight
    members = sum(len(flight.trials) for flight in flights)
    first = f"{driver_line(overview)}; in flight: {members} trials in {len(flights)} segments"
    more = [f"... and {len(flights) - MOST_FLIGHTS} more"] if len(flights) > MOST_FLIGHTS else []
    return [first, *map(flight_line, flights[:MOST_FLIGHTS]), *more]
