"""`sweeper status`: how far every sweep is, who drives it, and what a reader must know of it."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from sweeper.cli.database_option import database_option
from sweeper.cli.store_access import opened
from sweeper.cli.tables import cell_text, duration, echo_table
from sweeper.scheduler.progress import SegmentInFlight, StudyOverview, SweepOverview, read_overviews
from trainers.tasks.schema import METRIC

EXAMPLES = """\b
Examples:
  sweeper status
  sweeper status shapes
  sweeper status --json | jq '.[].studies[] | {method, best_score}'
"""

HEADERS = ["method", "budget", "planned", "complete", "pruned", "diverged", "failed", "undecided"]
HEADERS += [f"best {METRIC}", "of trial"]
STEP_HEADERS = ("method", "planned steps", "trained", "wasted", "device time")


@click.command(name="status", epilog=EXAMPLES)
@click.argument("sweep", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs: one list of objects.")
@database_option
def command(sweep: str | None, as_json: bool, database: str | None) -> None:
    """Show how far every sweep is, or the one called SWEEP.

    planned: trials whose hyperparameters are chosen; undecided: of these, still to be trained or
    judged; wasted: steps lost with a process that died.
    """
    with opened(database) as store, store.engine.connect() as connection:
        overviews = read_overviews(connection, sweep)
    if as_json:
        click.echo(json.dumps([asdict(overview) for overview in overviews], indent=2))
        return
    if not overviews:
        click.echo("no sweep yet; start one with `sweeper launch`")
    for place, overview in enumerate(overviews):
        if place:
            click.echo()
        _echo(overview)


def _echo(overview: SweepOverview) -> None:
    click.echo(
        f"{overview.name}: task {overview.task}, seed {overview.seed}, "
        f"first launched {overview.launched_at}"
    )
    click.echo(f"  {driver_line(overview)}")
    click.echo()
    echo_table(HEADERS, [_row(study) for study in overview.studies])
    click.echo()
    echo_table(STEP_HEADERS, [_steps(study) for study in overview.studies])
    click.echo()
    for line in (*_facts(overview), *(flight_line(flight) for flight in overview.in_flight)):
        click.echo(f"  {line}")
    for warning in overview.warnings:
        click.echo(f"  warning: {warning}")


def driver_line(overview: SweepOverview) -> str:
    """Return who drives a sweep, or why nobody does and the command that goes on."""
    silent = duration(overview.driver_silent_s or 0.0)
    if overview.state == "driven":
        ending = f"; paused by {overview.paused_by}: it is about to end"
        who = f"driven by {overview.driver}, last heartbeat {silent} ago"
        return who + (ending if overview.paused_by else "")
    if overview.state == "done":
        return "done"
    lost = f" (its driver {overview.driver} sent its last heartbeat {silent} ago)"
    again = overview.last_command or "sweeper launch ..."
    if overview.state == "paused":
        return f"paused by {overview.paused_by}: go on with `{again}`"
    return f"interrupted{lost if overview.driver else ''}: go on with `{again}`"


def _row(study: StudyOverview) -> tuple[object, ...]:
    return (
        study.name,
        study.budget,
        study.planned,
        study.complete,
        study.pruned,
        study.diverged,
        study.failed,
        study.undecided,
        study.best_score,
        None if study.best_trial is None else f"#{study.best_trial}",
    )


def _steps(study: StudyOverview) -> tuple[object, ...]:
    spent = duration(study.device_seconds)
    return study.name, study.planned_steps, study.trained_steps, study.wasted_steps, spent


def _facts(overview: SweepOverview) -> list[str]:
    lines = [
        f"{study.name} {study.state}: {cell_text(study.reason).partition(chr(10))[0]}"
        for study in overview.studies
        if study.state != "active"
    ]
    lines.append(f"numerics: version {overview.numerics_version}, {_repeats(overview)}")
    lines += [f"checkpoints: {folder}" for folder in overview.checkpoints]
    lines += [f"log: {file}" for file in overview.logs]
    return [*lines, f"note: {overview.note}"] if overview.note else lines


def _repeats(overview: SweepOverview) -> str:
    if overview.deterministic:
        return "deterministic: values repeat bit by bit on the same kind of device"
    return "not deterministic: on a GPU a repeated trial may differ in the last digits"


def flight_line(flight: SegmentInFlight) -> str:
    """Return where a segment is, and of which trials it is."""
    return (
        f"segment {flight.segment}: steps {flight.start_step} to {flight.stop_step}, at "
        f"{flight.at_step}, for {duration(flight.running_s)}, last heartbeat "
        f"{duration(flight.silent_s)} ago: {', '.join(flight.trials)}"
    )
