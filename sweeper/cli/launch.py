"""`sweeper launch`: declare what a sweep is to have, then drive it, or watch who does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from sweeper.cli.dry_run import show_plan
from sweeper.cli.launch_choices import DEFAULT_TASK, choose_methods, choose_task, require_budget
from sweeper.cli.training_options import log_to_console, read_training_options, training_options
from sweeper.core.config import load_config
from sweeper.driver.options import LaunchOptions
from sweeper.scheduler.launch_request import Request
from trainers.tasks import load_task

EXAMPLES = """
\b
Examples:
  sweeper launch --method rdd --budget 64
  sweeper launch --task camvid-tiny --data-root CAMVID --method baseline --method kd --budget 64
  sweeper launch --all --budget 32 --dry-run
  sweeper launch --all --budget 64 --workers 8
  sweeper launch --all --budget 64 --workers 64 --address auto --checkpoint-dir /shared/sweeps
  sweeper launch --all --budget 64 --deadline 8h --max-device-hours 20


Exit codes:
  0    done
  1    done but for methods that failed or are blocked
  2    refused, or ended by a fault: one line says what to do
  3    ended by a pause, a cancellation or a limit, with work left or dropped
  130  ended by Ctrl-C or SIGTERM; everything is saved
"""


@click.command(name="launch", epilog=EXAMPLES)
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="A method to tune, a combination A+B, or one term:TERM; may be repeated.",
)
@click.option("--all", "every", is_flag=True, help="Every method that the task's teacher allows.")
@click.option("--budget", type=int, help="Trials each method is to have in the end: a target.")
@click.option("--task", help=f"Data, nets, schedule [default: {DEFAULT_TASK}]; see sweeper tasks.")
@click.option("--sweep", help="Name of the sweep [default: the task's name].")
@click.option("--seed", type=int, default=0, show_default=True, help="Root of every seed.")
@click.option("--data-root", type=click.Path(path_type=Path), help="Folder of the task's data set.")
@click.option("--no-pruning", is_flag=True, help="Train every trial to its last step.")
@click.option(
    "--space",
    type=click.Choice(["primary", "full"]),
    default="primary",
    show_default=True,
    help="primary: shared dimensions, one multiplier, one own; full: all of a method's own.",
)
@click.option("--repeats", type=int, default=1, show_default=True, help="Independent searches.")
@click.option("--deterministic", is_flag=True, help="Only kernels that repeat bit by bit on GPUs.")
@click.option("--dry-run", is_flag=True, help="Show the plan, its width and its time; no more.")
@training_options
def command(**given: Any) -> None:
    """Tune methods under one protocol with one equal budget; also resumes what was interrupted.

    A budget is a target, not an increment: launch again with a larger one to go on, with another
    method to add it. Ctrl-C once finishes the running step and saves; twice stops at once; the
    same command goes on either way, also after `sweeper pause`.
    """
    log_to_console()
    options = _options(given)
    if given["dry_run"]:
        show_plan(options)
        return
    from sweeper.driver.launch_run import start_launch  # loads torch

    sys.exit(start_launch(options))


def _options(given: dict[str, Any]) -> LaunchOptions:
    config = load_config()
    task_name = choose_task(given["task"], config)
    task = load_task(task_name)
    request = Request(
        task=task,
        sweep=given["sweep"] or config.sweep or task.name,
        methods=choose_methods(given["methods"], task, every=given["every"]),
        budget=require_budget(given["budget"], task),
        seed=given["seed"],
        repeats=given["repeats"],
        space=given["space"],
        pruning=not given["no_pruning"],
        deterministic=given["deterministic"],
        data_root=config.find_data(given["data_root"]),
    )
    return LaunchOptions(
        **read_training_options(given, config, cohort=task.search.cohort),
        request=request,
        task_file=Path(task_name) if task_name.endswith(".toml") else None,
    )
