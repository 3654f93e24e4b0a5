"""Reviewing a method: every check of the contract with what it saw, and what the method costs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from sweeper.cli.tables import echo_table
from trainers.contract.checks import CHECKS
from trainers.contract.cost import relative_cost
from trainers.contract.sample_steps import Fault, MethodUnderTest
from trainers.contract.training_checks import TRAINING_CHECKS, TinyTraining
from trainers.errors import CODE_ERRORS, UserError
from trainers.method_api.loading import load_method
from trainers.training.cohort import Trainer

FAULTY = 1  # exit code


def review(name: str) -> int:
    """Print a review of the method; return the exit code, 1 where it has faults."""
    load_method(name)
    rows = list(_rows(name))
    echo_table(("", "check", "seen"), rows, f"method {name}")
    cost = relative_cost(name)
    click.echo(f"\nits losses take {cost:.2f} times as long as the task loss alone, on this CPU")
    faults = sum(verdict != "ok" for verdict, _, _ in rows)
    if faults:
        click.echo(f"{faults} of {len(rows)} checks failed")
        return FAULTY
    click.echo("every check holds")
    return 0


def _rows(name: str) -> Iterator[tuple[str, str, str]]:
    stand = MethodUnderTest(name)
    for check in CHECKS:
        yield _row(check.__doc__, lambda c=check: c(stand))  # type: ignore[misc]
    with tempfile.TemporaryDirectory(prefix="sweeper-") as folder:
        trainer = Trainer()
        for place, course in enumerate(TRAINING_CHECKS):
            training = TinyTraining(name=name, folder=Path(folder) / str(place), trainer=trainer)
            yield _row(course.__doc__, lambda c=course, t=training: c(t))  # type: ignore[misc]


def _row(rule: str | None, check: Callable[[], str]) -> tuple[str, str, str]:
    title = (rule or "").rstrip(".")
    try:
        return "ok", title, check()
    except Fault as fault:
        return "FAULT", title, str(fault)
    except (UserError, *CODE_ERRORS) as error:
        return "FAULT", title, f"{type(error).__name__}: {error}".partition("\n")[0]
