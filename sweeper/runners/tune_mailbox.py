"""The messages between Tune's trials and the driver, in one Ray actor.

Tune writes what it passes on to disk, and knows nothing of a running trial; here nothing is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainers.tasks.schema import Data
from trainers.training.segment import Outcome, Segment
from trainers.training.worker import Worker, WorkerDescription, WorkerStatus

Waiting = asyncio.Future[tuple[int, Segment] | None]


@dataclass(frozen=True, kw_only=True)
class WorkerSetup:
    """What a new worker needs first."""

    worker: type[Worker]
    data: Data
    root: Path | None
    packages: tuple[str, ...]
    marker: Path | None
    folder: Path


@dataclass(frozen=True, kw_only=True)
class ReadyWorker:
    """A trial that has its worker and waits for a segment."""

    trial: str
    actor: Any  # Ray's handle of the worker
    description: WorkerDescription | str  # the text says why there is none


@dataclass(frozen=True, kw_only=True)
class LostTrial:
    """A trial that has ended without an outcome."""

    trial: str
    reason: str


@dataclass(kw_only=True)
class Updates:
    """What the driver has not read yet."""

    # As they came: a trial may have both.
    changes: list[ReadyWorker | LostTrial] = field(default_factory=list)
    statuses: dict[int, WorkerStatus] = field(default_factory=dict)  # by number of the job
    outcomes: dict[int, Outcome] = field(default_factory=dict)  # by number of the job


class Mailbox:
    """A Ray actor, named, with many calls waiting in it at once."""

    def __init__(self, setup: WorkerSetup, interval_s: float) -> None:
        self._setup, self._interval_s = setup, interval_s
        self._updates, self._has_updates = Updates(), asyncio.Event()
        self._waiting: dict[str, Waiting] = {}  # by trial
        self._stop, self._is_closed = asyncio.Event(), False

    async def setup(self) -> WorkerSetup:
        """Return what a new worker needs first."""
        return self._setup

    async def take(self, offer: ReadyWorker) -> tuple[int, Segment] | None:
        """Wait for a segment and its number; None when there will be no more."""
        if self._is_closed:
            return None
        waiting: Waiting = asyncio.get_running_loop().create_future()
        self._waiting[offer.trial] = waiting
        self._updates.changes.append(offer)
        self._has_updates.set()
        return await waiting

    async def give(self, trial: str, number: int, segment: Segment) -> None:
        """Answer a trial's offer."""
        self._waiting.pop(trial).set_result((number, segment))

    async def heartbeat(self, number: int, status: WorkerStatus | None, has_stopped: bool) -> bool:
        """Note how far a worker is; return, after a while or as soon as so, whether it must stop.

        One that has stopped already is answered after the while.
        """
        if status is not None:
            self._updates.statuses[number] = status
        if has_stopped:
            await asyncio.sleep(self._interval_s)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._interval_s)
        return self._stop.is_set()

    async def deliver(self, number: int, outcome: Outcome) -> None:
        """Note what became of a segment."""
        self._updates.outcomes[number] = outcome
        self._has_updates.set()

    async def lose(self, trial: str, reason: str) -> None:
        """Note that a trial has ended without an outcome."""
        self._updates.changes.append(LostTrial(trial=trial, reason=reason))
        self._has_updates.set()

    async def collect(self, timeout_s: float) -> Updates:
        """Return the updates, after `timeout_s` or as soon as there is more than statuses."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._has_updates.wait(), timeout_s)
        self._has_updates.clear()
        updates, self._updates = self._updates, Updates()
        return updates

    async def stop(self) -> None:
        """Have every worker end its segment after the running step."""
        self._stop.set()

    async def close(self) -> None:
        """End the workers that wait, and those that come later."""
        self._is_closed = True
        for waiting in self._waiting.values():
            waiting.set_result(None)
        self._waiting.clear()
