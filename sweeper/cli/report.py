"""`sweeper report`: the comparison as one page for people who look before they read."""

from __future__ import annotations

from pathlib import Path

import click

from sweeper.cli.database_option import database_option
from sweeper.cli.store_access import opened

EXAMPLES = """\b
Examples:
  sweeper report shapes -o report
  sweeper report camvid-tiny --output /shared/reports/camvid-tiny
"""


@click.command(name="report", epilog=EXAMPLES)
@click.argument("sweep")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for index.html and data/*.csv; it is made if need be.",
)
@click.option("--allow-unequal", is_flag=True, help="Go on where the audit fails; says so.")
@database_option
def command(sweep: str, output: Path, allow_unequal: bool, database: str | None) -> None:
    """Write what SWEEP found as a page that needs no network, with its tables beside it.

    Verdicts, figures, predictions, costs and provenance; what is not there yet says why.
    """
    from sweeper.audit.run import require_sound, run_audit  # loads pandas
    from sweeper.comparison.comparison import compare_sweep  # loads pandas
    from sweeper.report.writer import write_report  # loads plotly

    with opened(database) as store:
        comparison = compare_sweep(store.engine, sweep)
        audit = run_audit(comparison.evidence)
        require_sound(audit, allow_unequal)
        page = write_report(comparison, audit, output)
    click.echo(page)
