"""Declaring what a launch asks for, then driving it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sweeper.cli.driver import Drive, say, say_warnings
from sweeper.cli.launch import Options
from sweeper.cli.launch_hints import baseline_command, unequal_targets
from sweeper.cli.training_options import inputs_of
from sweeper.core.constants import BASELINE
from sweeper.core.provenance import this_launch
from sweeper.scheduler.declaration import declare
from sweeper.scheduler.launch_request import check, declaration
from sweeper.scheduler.progress import SweepProgress
from sweeper.store.database import open_store
from trainers.training.cohort import Trainer


def start_launch(options: Options) -> int:
    """Declare a launch and run it; return the exit code."""
    request = options.request
    plans = check(request)
    store = open_store(options.database, "sweeper launch")
    trainer = Trainer()
    dataset = trainer.dataset(request.task.data, request.data_root)
    say_warnings(dataset)
    inputs = inputs_of(options, request.data_root, dataset.full_note, options.task_file)
    row = declare(
        store.engine,
        declaration(request, plans, dataset.fingerprint),
        this_launch(sys.argv[1:], **inputs),
    )
    if row.paused_by is not None:
        say(f"sweep {row.name} was paused by {row.paused_by}; it goes on")
    for line in unequal_targets(store.engine, row.id):
        say(line)

    def finish(progress: SweepProgress) -> Sequence[str]:
        lines = [f"sweeper query leaderboard --sweep {row.name}"]
        if all(study.method != BASELINE for study in progress.studies):
            add = baseline_command(sys.argv)
            lines.insert(0, f"no baseline to compare with; add it: {add}")
        return lines

    return Drive(
        store=store,
        row=row,
        means=options,
        trainer=trainer,
        dataset=dataset,
        root=request.data_root,
        asked=request.methods,
        finish=finish,
    ).run()
