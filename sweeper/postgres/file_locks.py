"""Advisory file locks that end with their holder: who starts the server, and whether it lives."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweeper.core.errors import DatabaseError

POLL_S = 0.02


@contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[int]:
    """Hold the lock while the body runs; yields its descriptor, which a child may inherit.

    It is released by closing alone: a child that inherited the descriptor goes on holding it.
    Raises DatabaseError when somebody else holds it for longer than `timeout_s`.
    """
    descriptor = _open(path)
    try:
        deadline = time.monotonic() + timeout_s
        while not _taken(descriptor, path):
            if time.monotonic() > deadline:
                raise DatabaseError(
                    f"another process has held {path} for {timeout_s:.0f} s; wait for it to end,"
                    f" or look with `fuser {path}`"
                )
            time.sleep(POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Return whether any living process holds the lock."""
    if not path.exists():
        return False
    descriptor = _open(path)
    try:
        return not _taken(descriptor, path)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise DatabaseError(
            f"{path} cannot be opened: {error.strerror}; choose another folder with SWEEPER_HOME"
        ) from error


def _taken(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise DatabaseError(
            f"the file system of {path} cannot lock files ({error.strerror}); choose a folder on a"
            " local disk with SWEEPER_HOME, or give a server with --database"
        ) from error
    return True
