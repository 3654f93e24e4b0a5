"""What a launch should be told before it takes hours: budgets that differ, a missing baseline."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine

from sweeper.core.constants import BASELINE
from sweeper.scheduler.declaration import read_targets


def unequal_targets(engine: Engine, sweep_id: int) -> list[str]:
    """Return a line for a sweep whose methods are to have unequal budgets, or no baseline."""
    targets = read_targets(engine, sweep_id)
    lines = []
    if len(set(targets.values())) > 1:
        budgets = ", ".join(f"{name} {target}" for name, target in targets.items())
        lines.append(f"budgets differ ({budgets}): not comparable until they are raised alike")
    if BASELINE not in targets:
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
