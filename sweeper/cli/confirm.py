"""`sweeper confirm`: train what a sweep has chosen again, with fresh seeds, for the verdict."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sweeper.cli.training_options import log_to_console, read_training_options, training_options
from sweeper.confirmation.stage import Confirmation, find_stage
from sweeper.core.config import load_config
from sweeper.driver.options import TrainingOptions
from sweeper.search.protocol import task_of
from sweeper.search.seeds import MOST_STAGES
from sweeper.store.database import Store, open_store
from sweeper.store.lookup import find_sweep, last_inputs

EXAMPLES = """\b
Examples:
  sweeper confirm shapes
  sweeper confirm camvid-tiny --workers 2
  sweeper confirm camvid-tiny --method rdd --method kd --seeds 20
  sweeper confirm camvid-tiny --more
  sweeper confirm camvid-tiny --equal-cost
  sweeper compare camvid-tiny

\b
Exit codes as those of sweeper launch.
"""


@click.command(name="confirm", epilog=EXAMPLES)
@click.argument("sweep")
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="Only these methods and the baseline [default: all that are finished].",
)
@click.option(
    "--seeds", type=click.IntRange(min=2), help="Fresh seeds a configuration [default: 10]."
)
@click.option(
    "--baseline-seeds",
    type=click.IntRange(min=2),
    help="Of the baseline, which every comparison needs [default: 30].",
)
@click.option("--budget", type=int, help="Compare the first so many trials [default: all].")
@click.option("--delta", type=float, help="Gains under so much mIoU do not matter [default: 0.5].")
@click.option("--paired", is_flag=True, default=None, help="Test differences seed by seed.")
@click.option(
    "--stages",
    type=click.IntRange(1, MOST_STAGES),
    help="2: another confirmation may follow; alpha is split [default: 1].",
)
@click.option("--more", is_flag=True, help="Declare a second confirmation with fresh seeds.")
@click.option(
    "--equal-cost",
    is_flag=True,
    help="Then train also what equal cost would have bought: searches cut at the cost of the "
    "cheapest, baseline and kd trained 1.5 and 2 times as long. No test, no verdict.",
)
@click.option("--data-root", type=click.Path(path_type=Path), help="As in launch [default: its].")
@training_options
def command(**given: Any) -> None:
    """Train SWEEP's choices again, for as long as a full trial, with seeds that no search saw.

    Of every method the published values and the best trial found, on the split that selection
    never saw, read at the end of each run alone. All of it is frozen when it begins; the same
    command goes on after a stop. With several searches a method (launch --repeats) 3 seeds each
    are usual.
    """
    log_to_console()
    store = open_store(given["database"], "sweeper confirm")
    wanted = Confirmation(
        sweep=given["sweep"],
        methods=given["methods"] or None,
        budget=given["budget"],
        seeds=given["seeds"],
        baseline_seeds=given["baseline_seeds"],
        delta=given["delta"],
        paired=given["paired"],
        stages=given["stages"],
        more=given["more"],
    )
    options, root = _prepare(store, wanted, given)
    from sweeper.driver.confirmation_run import ConfirmationRun, train_equal_cost  # loads torch

    run = ConfirmationRun.of(store, wanted.sweep, options, root)
    stage = run.declare(wanted)
    code = run.drive(stage)
    if given["equal_cost"] and run.is_done(stage):
        code = train_equal_cost(run) or code
    sys.exit(code)


def _prepare(
    store: Store, wanted: Confirmation, given: dict[str, Any]
) -> tuple[TrainingOptions, Path | None]:
    """Return with what to train: as the last launch did, where the command line is silent."""
    config = load_config()
    with store.engine.connect() as connection:
        row = find_sweep(connection, wanted.sweep)
        find_stage(connection, wanted)  # what is refused is refused before anything is loaded
        inputs = last_inputs(connection, row.id)
    task = task_of(row.protocol)
    options = TrainingOptions(**read_training_options(given, config, cohort=task.search.cohort))
    if given["checkpoint_dir"] is None and inputs.get("checkpoints"):
        options = replace(options, checkpoints=Path(inputs["checkpoints"]))
    stated = config.find_data(given["data_root"])
    known = inputs.get("data_root")
    return options, stated or (Path(known) if known else None)
