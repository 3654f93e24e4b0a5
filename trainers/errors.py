"""The errors that are the user's fault; each message gives the value, the rule, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

# What a method's file may raise when it is imported, measured or reviewed: its code is not ours.
CODE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


class UserError(Exception):
    """Something the user gave cannot be used: on a command line one line, exit code 2."""


class TaskError(UserError):
    """A task file is missing, malformed, or contradicts itself."""


class DataError(UserError):
    """A data set is missing, damaged, or not in the layout its reader expects."""


class MethodError(UserError):
    """A distillation method is unknown, or cannot be used with the task or parameters given."""


class CheckpointError(UserError):
    """A checkpoint or a file of weights is missing, damaged, or belongs to something else."""


class UnusableFile(CheckpointError):
    """A file of ours that is gone, damaged or another's: what it held is to be made again."""

    def __init__(self, file: Path, why: str) -> None:
        """Both are kept as arguments, so that the error survives its way from a worker."""
        super().__init__(file, why)
        self.file = file

    def __str__(self) -> str:
        """Return the message as one line."""
        return f"{self.file}: {self.args[1]}"


def near_miss(given: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'X'?` for the closest known name, or the list of all where none is."""
    names = sorted(known)
    close = difflib.get_close_matches(given, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"
