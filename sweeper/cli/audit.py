"""`sweeper audit`: which rules of a fair comparison a sweep keeps, and what shows it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from sweeper.cli.database_option import database_option
from sweeper.cli.store_access import opened
from sweeper.cli.tables import echo_table

if TYPE_CHECKING:
    from sweeper.audit.run import Audit

EXAMPLES = """\b
Examples:
  sweeper audit shapes
  sweeper audit camvid-tiny --json | jq '.findings[] | select(.state == "broken")'

\b
Exit codes: 0 nothing voids the comparison, 1 a broken rule does, 2 bad input.
"""

VOID = 1


@click.command(name="audit", epilog=EXAMPLES)
@click.argument("sweep")
@click.option("--json", "as_json", is_flag=True, help="For programs: one object.")
@database_option
def command(sweep: str, as_json: bool, database: str | None) -> None:
    """Check from the store whether the methods of SWEEP were treated alike.

    A rule holds, is broken, is a warning that every page will say, or is not checked yet, since
    something has to come before it.
    """
    from sweeper.audit.run import run_audit  # loads pandas
    from sweeper.comparison.evidence import read_evidence  # loads pandas

    with opened(database) as store:
        audit = run_audit(read_evidence(store.engine, sweep), replay=True)
    if as_json:
        click.echo(json.dumps(_plain(audit), indent=2))
    else:
        _echo(audit)
    sys.exit(VOID if audit.is_void else 0)


def _echo(audit: Audit) -> None:
    rows = [(f.rule.title, f.state.value, f.evidence) for f in audit.findings]
    echo_table(["rule", "state", "evidence"], rows)
    click.echo()
    for finding in audit.findings:
        if finding.stamps:
            click.echo(f"  rule {finding.rule.title}: {finding.rule.text}")
    click.echo(f"  {_verdict(audit)}")


def _verdict(audit: Audit) -> str:
    if audit.is_void:
        titles = ", ".join(finding.rule.title for finding in audit.broken)
        return f"void: broken is {titles}; nothing may be claimed from {audit.name}"
    states = [finding.state.value for finding in audit.findings]
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    said = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"nothing voids the comparison ({said})"


def _plain(audit: Audit) -> dict[str, object]:
    return {
        "sweep": audit.name,
        "is_void": audit.is_void,
        "stamps": audit.stamps,
        "findings": [
            {
                "rule": f.rule.number,
                "name": f.rule.name,
                "text": f.rule.text,
                "voids": f.rule.voids,
                "state": f.state.value,
                "evidence": f.evidence,
            }
            for f in audit.findings
        ],
    }
