"""Declaring what a launch asks for, then driving it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine

from sweeper.core.constants import BASELINE
from sweeper.core.provenance import this_launch
from sweeper.driver.driver import Driver, print_status, print_warnings
from sweeper.driver.options import LaunchOptions, inputs_of
from sweeper.scheduler.declaration import declare, read_budgets
from sweeper.scheduler.launch_request import check, declaration
from sweeper.scheduler.progress import SweepProgress
from sweeper.store.database import open_store
from trainers.training.cohort import Trainer


def start_launch(options: LaunchOptions) -> int:
    """Declare a launch and run it; return the exit code."""
    request = options.request
    plans = check(request)
    store = open_store(options.database, "sweeper launch")
    trainer = Trainer()
    dataset = trainer.dataset(request.task.data, request.data_root)
    print_warnings(dataset)
    inputs = inputs_of(options, request.data_root, dataset.full_note, options.task_file)
    row = declare(
        store.engine,
        declaration(request, plans, dataset.fingerprint),
        this_launch(sys.argv[1:], **inputs),
    )
    if row.paused_by is not None:
        print_status(f"sweep {row.name} was paused by {row.paused_by}; it goes on")
    for line in unequal_budgets(store.engine, row.id):
        print_status(line)

    def finish(progress: SweepProgress) -> Sequence[str]:
        lines = [f"sweeper query leaderboard --sweep {row.name}"]
        if all(study.method != BASELINE for study in progress.studies):
            add = baseline_command(sys.argv)
            lines.insert(0, f"no baseline to compare with; add it: {add}")
        return lines

    return Driver(
        store=store,
        row=row,
        options=options,
        trainer=trainer,
        dataset=dataset,
        root=request.data_root,
        asked=request.methods,
        finish=finish,
    ).run()


def unequal_budgets(engine: Engine, sweep_id: int) -> list[str]:
    """Return a line for a sweep whose methods are to have unequal budgets, or no baseline."""
    budgets = read_budgets(engine, sweep_id)
    lines = []
    if len(set(budgets.values())) > 1:
        listed = ", ".join(f"{name} {budget}" for name, budget in budgets.items())
        lines.append(f"budgets differ ({listed}): not comparable until they are raised alike")
    if BASELINE not in budgets:
        lines.append("no baseline in this sweep yet: nothing to compare its methods with")
    return lines


def baseline_command(arguments: Sequence[str]) -> str:
    """Return the launch of these arguments with the baseline in place of its methods."""
    kept: list[str] = []
    skip = False
    for argument in arguments[1:]:
        if skip or argument == "--all" or argument.startswith("--method="):
            skip = False
        elif argument == "--method":
            skip = True
        else:
            kept.append(argument)
    return shlex.join([Path(arguments[0]).name, *kept, "--method", BASELINE])
