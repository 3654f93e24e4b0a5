"""Waiting for a state, for no longer than it may take."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_S = 0.02


def eventually(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    """Return whether a condition comes to hold within the time."""
    deadline = time.monotonic() + timeout_s
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return holds
