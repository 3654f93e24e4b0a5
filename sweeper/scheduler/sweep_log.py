"""The log of one sweep, written by whoever drives it: `logs/sweep.jsonl` beside its segments' logs.

It repeats the decisions that the database holds, and adds who drove, and what went wrong around.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from sweeper.core.names import this_user
from sweeper.core.provenance import versions
from sweeper.scheduler.state_machine import Sweep
from trainers.errors import UserError
from trainers.runtime.json_log import detail, json_log

LEVELS = {"sweeper": logging.INFO, "trainers": logging.WARNING}

logger = logging.getLogger(__name__)


class SweepLog:
    """The log of a sweep for as long as the block runs; an error in it is told there as well."""

    def __init__(self, sweep: Sweep, where: str, stop: threading.Event) -> None:
        """`where` it trains, for people; `stop` tells a stop from the sweep's end."""
        self.file = sweep.log_file
        self._sweep, self._where, self._stop = sweep, where, stop
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(json_log(self.file, LEVELS))
        said = detail(
            sweep=self._sweep.name,
            who=this_user(),
            host=socket.gethostname(),
            pid=os.getpid(),
            epoch=self._sweep.lease.epoch,
            trains_on=self._where,
            versions=versions(),
        )
        logger.info("driver started", extra=said)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._open:
            self._say_end(error)

    def _say_end(self, error: BaseException | None) -> None:
        if error is None:
            how = "stopped" if self._stop.is_set() else "done"
            logger.info("driver ended", extra=detail(how=how))
        elif isinstance(error, UserError | KeyboardInterrupt):
            how = str(error) or type(error).__name__
            logger.info("driver ended", extra=detail(how=how))
        else:
            # Not logged as an error: the console shows the traceback anyway.
            logger.info("driver ended", exc_info=error, extra=detail(how="crashed"))
            error.add_note(f"log of the sweep: {self.file}")
