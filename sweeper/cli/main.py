"""The group `sweeper`: which commands there are, and how their errors reach a person."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any

import click

from sweeper.core.constants import VERSION
from trainers.errors import UserError, near_miss

INTERRUPTED = 130
BROKEN_PIPE = 1
FAULT = 2

# The help is kept here so that listing the commands imports none of them.
COMMANDS = MappingProxyType(
    {
        "launch": "Start a sweep, add methods or budget to it, or go on with it.",
        "plan": "Say what a sweep will cost and what it can show, before it or on its way.",
        "watch": "Follow a sweep live, from anywhere.",
        "pause": "Let a sweep's driver save and end; the same launch goes on.",
        "cancel": "End a sweep or one of its methods for good; what is finished stays.",
        "status": "Show how far every sweep is, who drives it, and what is wrong.",
        "confirm": "Train what a sweep has chosen again, with fresh seeds.",
        "audit": "Check from the store that a sweep treats its methods alike.",
        "compare": "Say which methods are better than the equally tuned baseline.",
        "report": "Write the comparison as one page, with every figure and table.",
        "query": "Print leaderboard, trials, curves, confirmations, ledger and more, or run SQL.",
        "show": "Show a sweep, a method or one trial; export its weights.",
        "dashboard": "Look at the trials in a browser (read only).",
        "methods": "List the distillation methods, or explain one.",
        "tasks": "List the tasks, or explain one.",
        "teacher": "Train a task's teacher, or take one from a file.",
        "delete": "Remove a sweep or one of its methods, with its checkpoints.",
        "db": "Start, stop, back up or reach the database.",
    }
)

EXAMPLES = """\b
Examples:
  sweeper launch --task shapes --method baseline --method kd --budget 8
  sweeper status
  sweeper query leaderboard --sweep shapes
  sweeper query trials --format csv --output trials.csv
  sweeper show shapes/kd#3
"""


class LazyCommands(MutableMapping[str, click.Command]):
    """The commands by name; each is imported when it is asked for."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in COMMANDS:
            raise KeyError(name)
        command: click.Command = import_module(f"sweeper.cli.{name}").command
        return command

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __setitem__(self, name: str, command: click.Command) -> None:
        raise TypeError(f"command {name!r}: add it to COMMANDS")

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"command {name!r}: take it out of COMMANDS")


class SweeperGroup(click.Group):
    """A group with lazy commands, whose errors are one line and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; leave with 0, with 2 for a user's fault, with 130 when interrupted."""
        name = prog_name or "sweeper"
        if not standalone_mode:
            return super().main(args, name, complete_var, standalone_mode=False, **extra)
        sys.exit(self._exit_code(args, name, complete_var, extra))

    def _exit_code(
        self,
        args: Sequence[str] | None,
        prog_name: str,
        complete_var: str | None,
        extra: dict[str, Any],
    ) -> int:
        try:
            result = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except click.UsageError as error:
            return _fault(f"{error.format_message().rstrip('.')}; see {_help_of(error, prog_name)}")
        except UserError as error:
            return _fault(str(error))
        except _database_errors() as error:
            return _fault(f"the database failed: {_first_line(error)}; see `sweeper db status`")
        except (KeyboardInterrupt, click.Abort):
            return INTERRUPTED
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
            return _forget_output()
        return result if isinstance(result, int) else 0

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of a sweep's life."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; UsageError with the nearest name for an unknown one."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            raise click.UsageError(f"no command {args[0]!r}{near_miss(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=SweeperGroup,
    commands=LazyCommands(),
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(VERSION, prog_name="sweeper")
def main() -> None:
    """Compare distillation methods fairly: every method, and the baseline, tuned alike."""


def _help_of(error: click.UsageError, prog_name: str | None) -> str:
    return f"{error.ctx.command_path if error.ctx else prog_name} --help"


def _fault(message: str) -> int:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return FAULT


def _database_errors() -> tuple[type[Exception], ...]:
    """Return what SQLAlchemy raises; where nobody has imported it, it has raised nothing."""
    module = sys.modules.get("sqlalchemy.exc")
    return () if module is None else (module.OperationalError, module.InterfaceError)


def _first_line(error: BaseException) -> str:
    """Return what the server said; the statement and its values are left out."""
    said = str(getattr(error, "orig", None) or error).strip()
    return said.partition("\n")[0]


def _forget_output() -> int:
    """Let nothing be flushed into the closed pipe when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


if __name__ == "__main__":
    main()
