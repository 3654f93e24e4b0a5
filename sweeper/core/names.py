"""How studies, trials and people are named, in the log, in Optuna and on the command line."""

from __future__ import annotations

import getpass
import os
import socket


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
