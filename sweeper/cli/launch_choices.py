"""What a launch, or a plan of one, is about: task, methods and budget, as given or by default."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sweeper.core.config import Config
from sweeper.core.errors import PlanError
from sweeper.scheduler.launch_request import all_methods
from trainers.method_api.registry import read_space
from trainers.tasks import Task

DEFAULT_TASK = "shapes"


def choose_methods(named: Sequence[str], task: Task, *, every: bool) -> tuple[str, ...]:
    """Return the methods that are meant; PlanError for none, MethodError for what is no method."""
    for name in named:
        read_space(name)
    if every:
        return tuple(all_methods(task))
    if not named:
        raise PlanError("no method given: name one with --method, or take --all of them")
    return tuple(dict.fromkeys(named))


def require_budget(budget: int | None, task: Task) -> int:
    """Return the budget; PlanError where none was given."""
    if budget is None:
        raise PlanError(
            f"no budget given: --budget N, a multiple of the task's bracket, {task.search.bracket}"
        )
    return budget


def choose_task(given: str | None, config: Config) -> str:
    """Return the task that is meant, a name or a TOML file; what was not given is said."""
    name = given or config.task or DEFAULT_TASK
    if not given:
        click.echo(f"task: {name} ({'sweeper.toml' if config.task else 'default'})", err=True)
    return name
