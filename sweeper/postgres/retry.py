"""Waiting for a database that went away: what was trained must not be lost with a connection."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

AWAY = (OperationalError, InterfaceError)  # the connection failed, whatever was asked
RETRY_S = 600.0
PAUSE_S = 2.0
Made = TypeVar("Made")

logger = logging.getLogger(__name__)


def retry_on_disconnect(
    action: Callable[[], Made],
    before_retry: Callable[[], object] | None = None,
    retry_s: float = RETRY_S,
) -> Made:
    """Return what `action` returns; repeat it for a while when the connection fails.

    `action` must be safe to repeat: a lost connection does not tell whether it was committed.
    `before_retry` belongs to each repetition. Any other error passes at once.
    """
    deadline = time.monotonic() + retry_s
    failed = False
    while True:
        try:
            if failed and before_retry is not None:
                before_retry()
            return action()
        except AWAY as error:
            if time.monotonic() > deadline:
                raise
            if not failed:
                reason = str(error.orig).partition("\n")[0]
                logger.warning("the database is away, waiting for it: %s", reason)
            failed = True
            time.sleep(PAUSE_S)
