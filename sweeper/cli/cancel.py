"""`sweeper cancel`: what is left of a sweep or of a method is not run, for good."""

from __future__ import annotations

import click

from sweeper.cli.database_option import database_option
from sweeper.cli.delete import confirm
from sweeper.cli.store_access import opened
from sweeper.core.names import parse_reference, this_user
from sweeper.scheduler.checkpoint_gc import remove
from sweeper.scheduler.pause_and_cancel import Cancellation, cancel, plan_cancellation
from sweeper.store.database import Store

EXAMPLES = """\b
Examples:
  sweeper cancel shapes/kd
  sweeper cancel shapes/kd@2
  sweeper cancel shapes --yes
"""


@click.command(name="cancel", epilog=EXAMPLES)
@click.argument("name", metavar="SWEEP[/METHOD[@R]]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@database_option
def command(name: str, yes: bool, database: str | None) -> None:
    """End SWEEP, or one of its methods with all its searches, for good; @R ends one search only.

    Finished trials stay, undecided ones fail as cancelled. A driver may be running: what it trains
    of them is dropped, and it goes on with the rest. `sweeper pause` is what can be resumed.
    """
    reference = parse_reference(name)
    with opened(database) as store:
        with store.engine.connect() as connection:
            plan = plan_cancellation(connection, reference, one_search="@" in name)
        if not plan.studies:
            click.echo(f"nothing of {reference} is left to cancel")
            return
        _echo(plan)
        confirm("cancel all this?", "cancelled", yes=yes)
        remove(cancel(store.engine, plan, this_user()), plan.folder)
        _show_in_optuna(store, plan.sweep_id)
    click.echo("cancelled")


def _echo(plan: Cancellation) -> None:
    click.echo(f"methods: {', '.join(plan.studies.values())}")
    click.echo(
        f"{plan.undecided} undecided trials fail as cancelled, none is planned any more; "
        f"{plan.complete} complete ones stay"
    )


def _show_in_optuna(store: Store, sweep_id: int) -> None:
    from sweeper.optuna_export.projection import Projection  # loads optuna

    Projection(store.engine, store.storage).update(sweep_id)
