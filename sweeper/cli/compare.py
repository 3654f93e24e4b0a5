"""`sweeper compare`: the verdict on every method, as a table for people, papers and programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeper.cli.db import database_option
from sweeper.cli.reading import opened
from sweeper.cli.tables import echo_table
from sweeper.errors import SweeperError

if TYPE_CHECKING:
    from sweeper.comparison.comparison import Comparison

EXAMPLES = """\b
Examples:
  sweeper compare shapes
  sweeper compare camvid-tiny --format latex --output table.tex
  sweeper compare camvid-tiny --format csv | cut -d, -f1,5,8-10,14
"""

SUFFIXES = {".csv": "csv", ".json": "json", ".md": "markdown", ".tex": "latex"}
FORMATS = ("table", "csv", "json", "markdown", "latex")


@click.command(name="compare", epilog=EXAMPLES)
@click.argument("sweep")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="[default: by the suffix of --output, else table]",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write a file.")
@click.option("--allow-unequal", is_flag=True, help="Go on where the audit fails; says so.")
@database_option
def command(
    sweep: str, form: str | None, output: Path | None, allow_unequal: bool, database: str | None
) -> None:
    """Say which methods of SWEEP are better than the equally tuned baseline.

    published, tuned: mean mIoU (percent, reported split) of the confirmed runs, sd between seeds.
    difference: tuned method - tuned baseline, with its 95 % interval. p: Holm over all methods.
    """
    from sweeper.audit import require_sound, run_audit
    from sweeper.cli.renderings import document
    from sweeper.comparison.comparison import compare_sweep

    chosen = form or (SUFFIXES.get(output.suffix, "") if output else "table")
    if not chosen:
        raise SweeperError(
            f"{output}: no format goes by that suffix; use {', '.join(SUFFIXES)} or --format"
        )
    with opened(database) as store:
        comparison = compare_sweep(store.engine, sweep)
        audit = run_audit(comparison.evidence)
        require_sound(audit, allow_unequal)
        if chosen == "table" and output is None:
            _echo(comparison, audit.stamps)
            return
        text = document(comparison, audit.stamps, chosen)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SweeperError(f"{output} cannot be written: {error.strerror}") from error
    click.echo(f"{len(comparison.verdicts)} rows in {output}", err=True)


def _echo(comparison: Comparison, stamps: tuple[str, ...]) -> None:
    from sweeper.cli.renderings import notes, render

    headers, rows = render(comparison.verdicts)
    echo_table(headers, rows)
    click.echo()
    for line in notes(comparison, stamps):
        click.echo(line)
