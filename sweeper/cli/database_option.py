"""The option `--database`: which PostgreSQL a command uses in place of the configured one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def database_option(command: Command) -> Command:
    """Add `--database URL` to a command, as its parameter `database` (None where not given)."""
    option = click.option(
        "--database",
        metavar="URL",
        help="postgresql://USER:PASSWORD@HOST:PORT/NAME  [default: SWEEPER_DATABASE_URL, then"
        " sweeper.toml, then the embedded server]",
    )
    return option(command)
