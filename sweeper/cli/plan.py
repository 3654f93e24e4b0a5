"""`sweeper plan`: what a sweep will cost and what it can show, before it or on its way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sweeper.cli.database_option import database_option
from sweeper.cli.launch_choices import DEFAULT_TASK, choose_methods, choose_task, require_budget
from sweeper.cli.method_path import method_path_option
from sweeper.cli.plan_view import echo_plan
from sweeper.cli.store_access import opened
from sweeper.core.config import Config, load_config
from sweeper.core.errors import PlanError
from sweeper.estimate.forecast import Repetition
from sweeper.estimate.plan import SweepPlan, of_request, of_sweep
from sweeper.estimate.step_times import TrainingSite
from sweeper.scheduler.launch_request import Request
from sweeper.store.database import Store
from sweeper.store.lookup import find_sweep, last_inputs
from trainers.tasks import load_task

EXAMPLES = """\b
Examples:
  sweeper plan --task shapes --method baseline --method kd --budget 24
  sweeper plan --task camvid-tiny --data-root CAMVID --all --budget 64 --workers 8
  sweeper plan --all --budget 32 --repeats 3 --seeds 3 --baseline-seeds 3
  sweeper plan shapes --workers 4
"""

OF_A_LAUNCH = ("task", "methods", "every", "budget", "repeats", "no_pruning")


@click.command(name="plan", epilog=EXAMPLES)
@click.argument("sweep", required=False)
@method_path_option
@click.option("--method", "methods", multiple=True, help="A method to tune; may be repeated.")
@click.option("--all", "every", is_flag=True, help="Every method that the task's teacher allows.")
@click.option("--budget", type=int, help="Trials each method is to have.")
@click.option("--task", help=f"Data, nets, schedule [default: {DEFAULT_TASK}]; see sweeper tasks.")
@click.option("--repeats", type=int, help="Independent searches [default: 1].")
@click.option("--no-pruning", is_flag=True, help="Train every trial to its last step.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that train side by side.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=2),
    help="Of a confirmed configuration [default: 10; 3 a repeat].",
)
@click.option(
    "--baseline-seeds", type=click.IntRange(min=2), help="The baseline's [default: 30; 3 a repeat]."
)
@click.option("--cohort", type=click.IntRange(min=1), help="Most trials that train together.")
@click.option("--data-root", type=click.Path(path_type=Path), help="Folder of the task's data set.")
@click.option("--device", help="cpu, cuda or cuda:N [default: what trained the task last].")
@database_option
def command(**given: Any) -> None:
    """Say what a launch will cost and can show, or what is left of the sweep called SWEEP.

    Times of steps are those in the log, where the task was trained before, else a few are measured
    here. Every trial takes what the plan allows it; a method that ends early costs less. What is
    confirmed: of every method the published values and the best of each search.
    """
    config = load_config()
    with opened(given["database"]) as store:
        site = TrainingSite(
            engine=store.engine,
            device=given["device"] or config.device,
            data_root=config.find_data(given["data_root"]),
            cohort=given["cohort"],
        )
        if given["sweep"] is not None:
            sweep_plan = _of_sweep(given, store, site)
        else:
            sweep_plan = _of_launch(given, config, site)
        echo_plan(sweep_plan, given["workers"])


def _of_sweep(given: dict[str, Any], store: Store, site: TrainingSite) -> SweepPlan:
    named = [f"--{name.replace('_', '-')}" for name in OF_A_LAUNCH if given[name]]
    if named:
        said = ", ".join({"--methods": "--method", "--every": "--all"}.get(n, n) for n in named)
        raise PlanError(
            f"{said}: sweep {given['sweep']} has its own; leave it out, or leave out SWEEP to plan "
            "a new one"
        )
    with store.engine.connect() as connection:
        row = find_sweep(connection, given["sweep"])
        root = site.data_root or last_inputs(connection, row.id).get("data_root")
    here = replace(site, data_root=None if root is None else Path(root))
    return of_sweep(row, here, given["seeds"], given["baseline_seeds"])


def _of_launch(given: dict[str, Any], config: Config, site: TrainingSite) -> SweepPlan:
    if not (given["methods"] or given["every"]):
        raise PlanError(
            "nothing to plan: name a SWEEP, or methods with --method or --all and a --budget"
        )
    task = load_task(choose_task(given["task"], config))
    repeats = 1 if given["repeats"] is None else given["repeats"]
    request = Request(
        task=task,
        sweep=task.name,
        methods=choose_methods(given["methods"], task, every=given["every"]),
        budget=require_budget(given["budget"], task),
        repeats=repeats,
        pruning=not given["no_pruning"],
        data_root=site.data_root,
    )
    repetition = Repetition.of(repeats, given["seeds"], given["baseline_seeds"])
    return of_request(request, site, repetition)
