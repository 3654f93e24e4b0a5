"""`sweeper query`: the log as a table for people, or as a file for programs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import Engine

from sweeper.cli.database_option import database_option
from sweeper.cli.store_access import choose_sweep, opened
from sweeper.cli.tables import decimals, echo_table, short_params
from sweeper.core.constants import PUBLISHED_LABEL
from sweeper.core.names import search_name
from sweeper.postgres.read_only import run_readonly
from sweeper.scheduler.pause_and_cancel import CANCELLED
from sweeper.store.named_queries import (
    ORDERS,
    as_csv,
    as_json,
    as_parquet,
    check_query,
    frame_of,
    run_query,
    select_rows,
    write_frame,
)
from trainers.tasks.schema import METRIC

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = """\b
Examples:
  sweeper query leaderboard
  sweeper query trials --sweep shapes --format csv --output trials.csv
  sweeper query curves --format json | jq '.[].score'
  sweeper query --sql "SELECT method, max(score) FROM sweeper.trials GROUP BY method"
"""

SUFFIXES = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
STATES = {"RUNNING": "undecided", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
Row = Mapping[str, Any]


@click.command(name="query", epilog=EXAMPLES)
@click.argument(
    "name", required=False, metavar="[leaderboard|trials|curves|ledger|confirmations|equal_cost]"
)
@click.option("--sweep", help="One sweep only [default: sweeper.toml's, or the only one, or all].")
@click.option("--sql", help="A SELECT of your own; it can change nothing.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="[default: by the suffix of --output, else table]",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write a file.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many rows.")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=60.0, show_default=True,
    help="Seconds that --sql may take.",
)  # fmt: skip
@database_option
def command(name: str | None, database: str | None, **given: Any) -> None:
    """Print what was tried, found, confirmed and spent; times are UTC, mIoU is in percent.

    The columns of the six are those of the views sweeper.NAME, which --sql can read too, with one
    column for each hyperparameter.
    """
    _check_arguments(name, given)
    form = _form(given["form"], given["output"])
    with opened(database) as store:
        if given["sql"] is not None:
            _answer_sql(store.engine, form, given)
        else:
            _answer_name(store.engine, str(name), form, given)


def _check_arguments(name: str | None, given: Mapping[str, Any]) -> None:
    if (name is None) == (given["sql"] is None):
        raise click.UsageError(f"give one of {', '.join(ORDERS)}, or --sql and no name")
    if given["sql"] is not None and given["sweep"] is not None:
        raise click.UsageError("--sweep has no effect on --sql: write WHERE sweep = '...' there")


def _form(form: str | None, output: Path | None) -> str:
    chosen = form or (SUFFIXES.get(output.suffix.lower()) if output else None) or "table"
    if chosen == "table" and output is not None:
        raise click.UsageError(f"--output {output}: say with --format csv, json or parquet how")
    if chosen == "parquet" and output is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is no text: give --output FILE, or pipe it somewhere")
    return chosen


def _answer_sql(engine: Engine, form: str, given: Mapping[str, Any]) -> None:

    with _ended_by_interrupt():
        columns, rows = run_readonly(engine, given["sql"], given["timeout"])
    rows = rows[: given["limit"]]
    if form == "table":
        echo_table(columns, rows)
        return

    _deliver(frame_of(columns, rows), form, given["output"])


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process at once: psycopg would notice it after the answer only."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _answer_name(engine: Engine, name: str, form: str, given: Mapping[str, Any]) -> None:
    with engine.connect() as connection:
        check_query(name)
        sweep = choose_sweep(connection, given["sweep"])
        if form == "table":
            columns, rows = select_rows(connection, name, sweep, given["limit"])
            echo_named(name, [dict(zip(columns, row, strict=True)) for row in rows])
            return

    _deliver(run_query(engine, name, sweep, given["limit"]), form, given["output"])


def _deliver(frame: pd.DataFrame, form: str, output: Path | None) -> None:

    if output is not None:
        write_frame(frame, output, form)
        click.echo(f"{len(frame)} rows in {output}", err=True)
    elif form == "parquet":
        click.echo(as_parquet(frame), nl=False)
    else:
        click.echo(as_csv(frame).rstrip("\n") if form == "csv" else as_json(frame))


def echo_named(name: str, rows: Sequence[Row]) -> None:
    """Print the rows of a named query as a table that fits a terminal."""
    columns = TABLES[name]
    several = len({row["sweep"] for row in rows}) > 1
    first: Mapping[str, Callable[[Row], object]] = {"sweep": _column("sweep")} if several else {}
    shown = {**first, **columns}
    echo_table(list(shown), [[read(row) for read in shown.values()] for row in rows])


def _method(row: Row) -> str:
    return search_name(row["method"], row["repeat"])


def _named_with_state(row: Row) -> str:
    """Return the method; one that did not run to its end says so."""
    return _method(row) if row["state"] == "active" else f"{_method(row)} ({row['state']})"


def _trial(row: Row) -> str:
    return f"{_method(row)}#{row['number']}"


def _state(row: Row) -> str:
    if (row.get("reason") or "").startswith(CANCELLED):
        return "cancelled"
    return "diverged" if row.get("diverged") else STATES[row["state"]]


def _column(name: str) -> Callable[[Row], object]:
    return lambda row: row[name]


TABLES: Mapping[str, Mapping[str, Callable[[Row], object]]] = {
    "leaderboard": {
        "method": _named_with_state,
        METRIC: _column("score"),
        PUBLISHED_LABEL: _column("published_score"),
        "best": lambda row: None if row["best_trial"] is None else f"#{row['best_trial']}",
        "trials": lambda row: f"{row['trials']}/{row['budget']}",
        "pruned": _column("pruned"),
        "diverged": _column("diverged"),
        "failed": _column("failed"),
        "hyperparameters": lambda row: short_params(row["params"]),
    },
    "trials": {
        "trial": _trial,
        "from": _column("origin"),
        "state": _state,
        METRIC: _column("score"),
        "step": _column("step"),
        "wasted": _column("wasted_steps"),
        "seconds": lambda row: decimals(row["device_seconds"]),
        "hyperparameters": lambda row: short_params(row["params"]),
    },
    "curves": {
        "trial": _trial,
        "rung": _column("rung"),
        "step": _column("step"),
        METRIC: _column("score"),
        "state": _state,
    },
    "confirmations": {
        "method": _method,
        "stage": _column("stage"),
        "configuration": _column("configuration"),
        "seed": _column("seed"),
        "state": _state,
        METRIC: _column("score"),
        "seconds": lambda row: decimals(row["device_seconds"]),
    },
    "equal_cost": {
        "method": _method,
        "part": _column("part"),
        "seed": _column("seed"),
        "state": _state,
        METRIC: _column("score"),
        "seconds": lambda row: decimals(row["device_seconds"]),
    },
    "ledger": {
        "method": _method,
        "budget": _column("budget"),
        "planned steps": _column("planned_steps"),
        "trained steps": _column("trained_steps"),
        "wasted steps": _column("wasted_steps"),
        "images": _column("trained_images"),
        "device seconds": _column("device_seconds"),
        "wasted seconds": _column("wasted_seconds"),
    },
}
