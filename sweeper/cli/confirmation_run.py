"""Training a sweep's choices again, from a terminal: a stage of confirmation, an axis beside it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.cli.driver import Drive, say, say_warnings
from sweeper.cli.training_options import Means, inputs_of
from sweeper.confirmation.stage import Confirmation, Reported, declare_stage, refuse_numerics
from sweeper.core.names import search_name
from sweeper.core.provenance import Launch, this_launch
from sweeper.scheduler.launch_request import code_here
from sweeper.scheduler.progress import SweepProgress, read_progress
from sweeper.search.protocol import plan_of, task_of
from sweeper.store.database import Store
from sweeper.store.lookup import find_sweep, last_inputs
from trainers.data import Dataset
from trainers.training.cohort import Trainer


@dataclass(frozen=True, kw_only=True)
class Again:
    """One sweep to train from: its data, loaded once, and the means."""

    store: Store
    sweep: str
    means: Means
    root: Path | None  # of the data
    trainer: Trainer
    dataset: Dataset
    who: Launch

    @classmethod
    def of(cls, store: Store, name: str, means: Means, root: Path | None) -> Again:
        """Load what a sweep needs; SweeperError or DataError where that is not what it was."""
        with store.engine.connect() as connection:
            row = find_sweep(connection, name)
            file = last_inputs(connection, row.id).get("task_file")
        trainer = Trainer()
        dataset = trainer.dataset(task_of(row.protocol).data, root)
        refuse_numerics(row, dataset.fingerprint)
        say_warnings(dataset)
        inputs = inputs_of(means, root, dataset.full_note, Path(file) if file else None)
        return cls(
            store=store,
            sweep=name,
            means=means,
            root=root,
            trainer=trainer,
            dataset=dataset,
            who=this_launch(sys.argv[1:], **inputs),
        )

    def declare(self, wanted: Confirmation) -> Any:
        """Declare a stage, or go on with one; return its row of the table `sweep`."""
        reported = Reported(
            fingerprint=self.dataset.fingerprint,
            blocks=self.dataset.report_blocks,
            classes=self.dataset.class_names,
        )
        return declare_stage(self.store.engine, wanted, reported, self.who, code_here)

    def is_done(self, row: Any) -> bool:
        """Whether nothing is left to train of a stage or an axis (`row` of the table `sweep`)."""
        return read_progress(self.store.engine, row.id, plan_of(row.protocol)).is_done

    def drive(self, row: Any) -> int:
        """Train what is left of a stage or an axis; return the exit code."""
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
            return [*lines, f"sweeper compare {self.sweep}{axis}"]

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
