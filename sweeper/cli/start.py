"""Declaring what a command asks for, then driving it: a launch, a confirmation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from sweeper.cli.drive import Drive, say
from sweeper.cli.hints import baseline_command, unequal_targets
from sweeper.cli.launch import Options
from sweeper.cli.means import Means
from sweeper.confirming import Confirmation, Reported, declare_stage
from sweeper.declaring import BASELINE, declare
from sweeper.launching import check, code_here, declaration
from sweeper.names import search_name
from sweeper.progress import SweepProgress
from sweeper.protocol import task_of
from sweeper.provenance import this_launch
from sweeper.store.database import Store, open_store
from sweeper.store.lookup import find_sweep, last_inputs
from trainers.cohort import Trainer


def start_launch(options: Options) -> int:
    """Declare a launch and run it; return the exit code."""
    request = options.request
    plans = check(request)
    store = open_store(options.database, "sweeper launch")
    trainer = Trainer()
    dataset = trainer.dataset(request.task.data, request.data_root)
    inputs = _inputs(options, request.data_root, dataset.note, options.task_file)
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


def start_confirmation(store: Store, wanted: Confirmation, means: Means, root: Path | None) -> int:
    """Declare a confirmation, or go on with one, and run it; return the exit code."""
    with store.engine.connect() as connection:
        parent = find_sweep(connection, wanted.sweep)
        task, file = task_of(parent.protocol), last_inputs(connection, parent.id).get("task_file")
    trainer = Trainer()
    dataset = trainer.dataset(task.data, root)
    reported = Reported(
        fingerprint=dataset.fingerprint,
        blocks=dataset.report_blocks,
        classes=dataset.class_names,
    )
    inputs = _inputs(means, root, dataset.note, Path(file) if file else None)
    who = this_launch(sys.argv[1:], **inputs)
    row = declare_stage(store.engine, wanted, reported, who, code_here)
    if row.paused_by is not None:
        say(f"{row.name} was paused by {row.paused_by}; it goes on")

    def finish(progress: SweepProgress) -> Sequence[str]:
        unsure = [s for s in progress.studies if s.diverged or s.failed]
        lines = [
            f"{search_name(s.method, s.repeat)}: {s.diverged} of {s.target} diverged, "
            f"{s.failed} failed"
            for s in unsure
        ]
        return [*lines, f"sweeper compare {wanted.sweep}"]

    return Drive(
        store=store,
        row=row,
        means=means,
        trainer=trainer,
        dataset=dataset,
        root=root,
        asked=row.protocol["confirmation"]["methods"],
        finish=finish,
    ).run()


def _inputs(
    means: Means, root: Path | None, note: str, task_file: Path | None
) -> dict[str, str | None]:
    return {
        "data_root": str(root.absolute()) if root else None,
        "task_file": str(task_file.absolute()) if task_file else None,
        "data_note": note,
        "checkpoints": str(means.checkpoints),
    }
