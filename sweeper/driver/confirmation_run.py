"""Training a sweep's choices again: a confirmation, and beside it comparisons at equal cost."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.comparison.equal_cost import cut_searches
from sweeper.comparison.evidence import Evidence, read_evidence
from sweeper.confirmation.equal_cost import check_code, declare_equal_cost, find_equal_cost
from sweeper.confirmation.stage import Confirmation, Reported, declare_stage, go_on, refuse_numerics
from sweeper.core.equal_cost import StepCosts
from sweeper.core.names import search_name
from sweeper.core.provenance import Launch, this_launch
from sweeper.driver.driver import Driver, print_status, print_warnings
from sweeper.driver.options import TrainingOptions, inputs_of
from sweeper.scheduler.launch_request import code_here
from sweeper.scheduler.progress import SweepProgress, read_progress
from sweeper.search.protocol import plan_of, task_of
from sweeper.store.database import Store
from sweeper.store.lookup import find_sweep, last_inputs
from trainers.data import Dataset
from trainers.runtime.devices import choose_device, model_of
from trainers.training.cohort import Trainer
from trainers.training.probe import Probe

REFERENCE_STEPS = 50  # of a method alone, whose median its cost is reckoned with


@dataclass(frozen=True, kw_only=True)
class ConfirmationRun:
    """One sweep to train from: its data, loaded once, and how to train."""

    store: Store
    sweep: str
    options: TrainingOptions
    root: Path | None  # of the data
    trainer: Trainer
    dataset: Dataset
    who: Launch

    @classmethod
    def of(
        cls, store: Store, name: str, options: TrainingOptions, root: Path | None
    ) -> ConfirmationRun:
        """Load what a sweep needs; SweeperError or DataError where that is not what it was."""
        with store.engine.connect() as connection:
            row = find_sweep(connection, name)
            file = last_inputs(connection, row.id).get("task_file")
        trainer = Trainer()
        dataset = trainer.dataset(task_of(row.protocol).data, root)
        refuse_numerics(row, dataset.fingerprint)
        print_warnings(dataset)
        inputs = inputs_of(options, root, dataset.full_note, Path(file) if file else None)
        return cls(
            store=store,
            sweep=name,
            options=options,
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
        """Whether a stage or a part at equal cost is trained (`row` of the table `sweep`)."""
        return read_progress(self.store.engine, row.id, plan_of(row.protocol)).is_done

    def drive(self, row: Any) -> int:
        """Train what is left of a stage or of a part at equal cost; return the exit code."""
        if row.paused_by is not None:
            print_status(f"{row.name} was paused by {row.paused_by}; it goes on")

        def finish(progress: SweepProgress) -> Sequence[str]:
            unsure = [s for s in progress.studies if s.diverged or s.failed]
            lines = [
                f"{search_name(s.method, s.repeat)}: {s.diverged} of {s.budget} diverged, "
                f"{s.failed} failed"
                for s in unsure
            ]
            option = f" --equal-cost {row.equal_cost.partition('-')[0]}" if row.equal_cost else ""
            return [*lines, f"sweeper compare {self.sweep}{option}"]

        return Driver(
            store=self.store,
            row=row,
            options=self.options,
            trainer=self.trainer,
            dataset=self.dataset,
            root=self.root,
            asked=row.protocol["confirmation"]["methods"],
            finish=finish,
        ).run()


def train_equal_cost(run: ConfirmationRun) -> int:
    """Declare what is at equal cost beside a sweep's confirmation, or go on; return the exit code.

    Where a part lacks a method that is blocked or cancelled the others are trained all the same.
    """
    rows, worst = _declared(run), 0
    with run.store.engine.begin() as connection:
        for row in rows:
            go_on(connection, row, run.who)
    for row in rows:
        code = run.drive(row)
        worst = worst or code
        if not run.is_done(row):
            return code
    return worst


def _declared(run: ConfirmationRun) -> list[Any]:
    """Return the rows of the parts at equal cost, declared now unless they were before."""
    engine, name = run.store.engine, run.sweep
    with engine.connect() as connection:
        rows = find_equal_cost(connection, name)
        if rows:
            return rows
        check_code(connection, name, code_here)
    evidence = read_evidence(engine, name)
    costs = _step_costs(evidence, run)
    return declare_equal_cost(engine, name, costs, cut_searches(evidence, costs.seconds))


def _step_costs(evidence: Evidence, run: ConfirmationRun) -> StepCosts:
    """Measure a step of every method alone, here and now, one after the other."""
    device = choose_device(run.options.device)
    found = {}
    with closing(Probe(task_of(evidence.protocol), run.root, device)) as probe:
        for method in evidence.methods:
            found[method] = probe.step_seconds(method, 1, REFERENCE_STEPS)
            print_status(f"a step of {method} alone takes {found[method]:.3g} s")
    return StepCosts(device=model_of(device), seconds=found)
