"""`sweeper compare`: the verdict on every method, as a table for people, papers and programs."""

from __future__ import annotations

from pathlib import Path

import click

from sweeper.cli.database_option import database_option
from sweeper.cli.store_access import opened
from sweeper.cli.tables import echo_table
from sweeper.core.errors import SweeperError

EXAMPLES = """\b
Examples:
  sweeper compare shapes
  sweeper compare camvid-tiny --format latex --output table.tex
  sweeper compare camvid-tiny --format csv | cut -d, -f1,5,8-10,14
  sweeper compare camvid-tiny --equal-cost training
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
@click.option(
    "--equal-cost",
    type=click.Choice(["tuning", "training"]),
    help="Instead of the verdicts: the methods at equal cost of it, from confirm --equal-cost.",
)
@click.option("--allow-unequal", is_flag=True, help="Go on where the audit fails; says so.")
@database_option
def command(
    sweep: str,
    form: str | None,
    output: Path | None,
    equal_cost: str | None,
    allow_unequal: bool,
    database: str | None,
) -> None:
    """Say which methods of SWEEP are better than the equally tuned baseline.

    published, tuned: mean mIoU (percent, reported split) of the confirmed runs, sd between seeds.
    difference: tuned method - tuned baseline, with its 95 % interval. p: Holm over all methods.
    """
    from sweeper.audit.run import require_sound, run_audit  # loads pandas
    from sweeper.cli.renderings import document, equal_cost_sheet, verdict_sheet  # loads pandas
    from sweeper.comparison.comparison import compare_sweep  # loads pandas

    chosen = form or (SUFFIXES.get(output.suffix, "") if output else "table")
    if not chosen:
        raise SweeperError(
            f"{output}: no format goes by that suffix; use {', '.join(SUFFIXES)} or --format"
        )
    with opened(database) as store:
        comparison = compare_sweep(store.engine, sweep)
        audit = run_audit(comparison.evidence)
        require_sound(audit, allow_unequal)
        stamps = audit.stamps
        sheet = (
            equal_cost_sheet(comparison, stamps, equal_cost)
            if equal_cost
            else verdict_sheet(comparison, stamps)
        )
    if output is None and chosen == "table":
        echo_table(sheet.headers, sheet.cells)
        click.echo("\n".join(["", *sheet.remarks]))
    elif output is None:
        click.echo(document(sheet, chosen), nl=False)
    else:
        _write(output, document(sheet, chosen))
        click.echo(f"{len(sheet.cells)} rows in {output}", err=True)


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SweeperError(f"{output} cannot be written: {error.strerror}") from error
