"""`sweeper show`: a sweep, a method, or one trial with all that was recorded; its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from sweeper.cli.database_option import database_option
from sweeper.cli.query import echo_named
from sweeper.cli.show_trial import echo_trial
from sweeper.cli.store_access import opened
from sweeper.cli.tables import echo_table, short_number
from sweeper.core.errors import SweeperError
from sweeper.core.names import Reference, parse_reference, trial_name
from sweeper.search.space import known_space
from sweeper.store.lookup import find_study, find_sweep
from sweeper.store.named_queries import select_rows
from sweeper.store.trial_details import TrialDetails, read_trial_details

EXAMPLES = """\b
Examples:
  sweeper show shapes
  sweeper show shapes/kd
  sweeper show shapes/kd#3
  sweeper show shapes/kd@2#3
  sweeper show shapes/kd#3 --export kd.pt
"""

TOP = 10


@click.command(name="show", epilog=EXAMPLES)
@click.argument("name", metavar="SWEEP[/METHOD[#N]]")
@click.option(
    "--export",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the weights of a complete trial, with task and hyperparameters.",
)
@click.option("--force", is_flag=True, help="Let --export replace a file.")
@database_option
def command(name: str, file: Path | None, force: bool, database: str | None) -> None:
    """Show a sweep, one of its methods, or one trial in every detail.

    METHOD@2 is the second search of a method that was launched with --repeats.
    """
    reference = parse_reference(name)
    if file is not None and reference.number is None:
        raise SweeperError(
            f"{reference} has no weights of its own: give SWEEP/METHOD#N to --export"
        )
    with opened(database) as store, store.engine.connect() as connection:
        if reference.number is not None:
            details = read_trial_details(connection, reference)
        else:
            _summarise(connection, reference)
            return
    if file is None:
        echo_trial(details)
    else:
        _export(details, file, force)


def _summarise(connection: Connection, reference: Reference) -> None:
    row = find_sweep(connection, reference.sweep)
    if reference.method is not None:
        _echo_space(find_study(connection, row, reference.method, reference.repeat))
    else:
        click.echo(f"{row.name}: task {row.protocol['task']['name']}, seed {row.seed}\n")
    for query in ("leaderboard", "ledger"):
        echo_named(query, _rows(connection, query, reference))
        click.echo()
    trials = _rows(connection, "trials", reference)
    complete = [trial for trial in trials if trial["state"] == "COMPLETE"]
    if complete:
        best = sorted(complete, key=lambda trial: (-trial["score"], trial["number"]))[:TOP]
        click.echo(f"best of {len(complete)} complete trials:")
        echo_named("trials", best)
        first = best[0]
        named = trial_name(reference.sweep, first["method"], first["repeat"], first["number"])
        click.echo(f"\nmore: sweeper show {named}")


def _rows(connection: Connection, query: str, reference: Reference) -> list[dict[str, Any]]:
    columns, values = select_rows(connection, query, reference.sweep)
    rows = [dict(zip(columns, row, strict=True)) for row in values]
    wanted = (reference.method, reference.repeat)
    return [r for r in rows if reference.method is None or (r["method"], r["repeat"]) == wanted]


def _echo_space(study: Any) -> None:
    click.echo(f"{study.method}, search {study.repeat}: {study.state}")
    if study.reason:
        click.echo(f"reason: {study.reason.splitlines()[0]}")
    space = known_space(study.space, study.calibration)
    rows = [(d.name, d.limits, short_number(d.published), d.log) for d in space.dimensions]
    echo_table(("hyperparameter", "range", "published", "logarithmic"), rows)
    if study.calibration is not None:
        ratio, feature = study.calibration["gradient_ratio"], study.calibration["feature"]
        click.echo(
            "at published weights the gradient-norm ratio of its terms to the task loss is "
            f"{ratio:.3g}, at the student's {feature} features; multiplier of equal effect: "
            f"{study.calibration['equal']:g}"
        )
    click.echo()


def _export(details: TrialDetails, file: Path, force: bool) -> None:
    if details.state != "COMPLETE" or details.checkpoint is None:
        kind = "diverged" if details.diverged else details.state
        raise SweeperError(
            f"{details.reference} is {kind}: weights are kept of COMPLETE trials only; see "
            f"`sweeper show {details.reference.sweep}` for the best of them"
        )
    if file.exists() and not force:
        raise SweeperError(f"{file} is there already: give --force to replace it")
    from trainers.training.export import export_weights  # loads torch

    about = {
        "task": details.task,
        "method": details.reference.method,
        "params": dict(details.params),
        "score": details.score,
    }
    export_weights(Path(details.checkpoint), file, about, details.weights_hash)
    click.echo(f"weights of {details.reference} (mIoU {details.score:.2f}) in {file}", err=True)
