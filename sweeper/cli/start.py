"""Declaring what a command asks for, then driving it: a launch, a confirmation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.cli.drive import Drive, say
from sweeper.cli.hints import baseline_command, unequal_targets
from sweeper.cli.launch import Options
from sweeper.cli.means import Means
from sweeper.confirming import Confirmation, Reported, declare_stage
from sweeper.declaring import BASELINE, Launch, declare
from sweeper.launching import check, code_here, declaration
from sweeper.names import search_name
from sweeper.progress import SweepProgress
from sweeper.protocol import task_of
from sweeper.provenance import this_launch
from sweeper.store.database import Store, open_store
from sweeper.store.lookup import find_sweep, last_inputs
from trainers.cohort import Trainer
from trainers.data import Dataset


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
    again = Again.of(store, wanted.sweep, means, root)
    reported = Reported(
        fingerprint=again.dataset.fingerprint,
        blocks=again.dataset.report_blocks,
        classes=again.dataset.class_names,
    )
    return again.drive(declare_stage(store.engine, wanted, reported, again.who, code_here))


@dataclass(frozen=True, kw_only=True)
class Again:
    """What trains the choices of a sweep again: its data, loaded once, and the means."""

    store: Store
    means: Means
    root: Path | None  # of the data
    trainer: Trainer
    dataset: Dataset
    who: Launch

    @classmethod
    def of(cls, store: Store, name: str, means: Means, root: Path | None) -> Again:
        """Load what a sweep needs; SweeperError or DataError where it is not there."""
        with store.engine.connect() as connection:
            row = find_sweep(connection, name)
            file = last_inputs(connection, row.id).get("task_file")
        trainer = Trainer()
        dataset = trainer.dataset(task_of(row.protocol).data, root)
        inputs = _inputs(means, root, dataset.note, Path(file) if file else None)
        return cls(
            store=store,
            means=means,
            root=root,
            trainer=trainer,
            dataset=dataset,
            who=this_launch(sys.argv[1:], **inputs),
        )

    def drive(self, row: Any) -> int:
        """Run a stage or an axis (`row` of the table `sweep`); return the exit code."""
        if row.paused_by is not None:
            say(f"{row.name} was paused by {row.paused_by}; it goes on")

        def finish(progress: SweepProgress) -> Sequence[str]:
            unsure = [s for s in progress.studies if s.diverged or s.failed]
            lines = [
                f"{search_name(s.method, s.repeat)}: {s.diverged} of {s.target} diverged, "
                f"{s.failed} failed"
                for s in unsure
            ]
            axis = f" --axis {row.axis.partition('-')[0]}" if row.axis else ""
            return [*lines, f"sweeper compare {row.name.partition(':')[0]}{axis}"]

        return Drive(
            store=self.store,
            row=row,
            means=self.means,
            trainer=self.trainer,
            dataset=self.dataset,
            root=self.root,
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
