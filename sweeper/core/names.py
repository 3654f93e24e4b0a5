"""How studies, trials and people are named, in the log, in Optuna and on the command line."""

from __future__ import annotations

import getpass
import os
import re
import socket
from dataclasses import dataclass

from sweeper.core.errors import SweeperError

PATTERN = re.compile(
    r"(?P<sweep>[A-Za-z0-9._-]{1,64}(?::[a-z][a-z0-9.-]*)?)"
    r"(?:/(?P<method>[A-Za-z0-9._+-]+)(?:@(?P<repeat>[1-9]\d{0,8}))?(?:#(?P<number>\d{1,9}))?)?"
)


def search_name(method: str, repeat: int) -> str:
    """Return METHOD for a method's first search, METHOD@R for a later one."""
    return method if repeat == 1 else f"{method}@{repeat}"


def search_of(name: str) -> tuple[str, int]:
    """Return method and repeat of METHOD or METHOD@R."""
    method, _, repeat = name.partition("@")
    return method, int(repeat or 1)


def family_name(name: str) -> str:
    """Return SWEEP of SWEEP:PART, or of itself."""
    return name.partition(":")[0]


def child_name(sweep: str, part: str) -> str:
    """Return SWEEP:PART, such as demo:confirm-1: a name that no user's sweep can have."""
    return f"{sweep}:{part}"


def study_name(sweep: str, method: str, repeat: int) -> str:
    """Return SWEEP/METHOD for the first search, SWEEP/METHOD@R for a later one."""
    return f"{sweep}/{search_name(method, repeat)}"


def trial_name(sweep: str, method: str, repeat: int, number: int) -> str:
    """Return SWEEP/METHOD#N, as `sweeper show` takes it."""
    return f"{study_name(sweep, method, repeat)}#{number}"


def this_user() -> str:
    """Return user@host; a user without a name (in a container, say) is called by its number."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A sweep; with a method one of its studies; with a number one of that study's trials."""

    sweep: str
    method: str | None = None
    repeat: int = 1
    number: int | None = None

    def __str__(self) -> str:
        if self.method is None:
            return self.sweep
        if self.number is None:
            return study_name(self.sweep, self.method, self.repeat)
        return trial_name(self.sweep, self.method, self.repeat, self.number)


def parse_reference(text: str) -> Reference:
    """Return what `text` names; SweeperError where it is not of the form."""
    match = PATTERN.fullmatch(text)
    if match is None:
        raise SweeperError(
            f"{text!r} is no name of a sweep, method or trial: write SWEEP, SWEEP/METHOD or"
            " SWEEP/METHOD#N (for the second search SWEEP/METHOD@2#N)"
        )
    number = match["number"]
    return Reference(
        sweep=match["sweep"],
        method=match["method"],
        repeat=int(match["repeat"] or 1),
        number=None if number is None else int(number),
    )
