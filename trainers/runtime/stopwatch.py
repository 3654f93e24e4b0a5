"""Seconds that a member itself took, measured on the device without waiting at every step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Adds up spans of time; on a GPU by events, read when the device is waited for anyway."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._seconds = 0.0
        self._pending: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time from entering to leaving, also when an error leaves."""
        start = self._mark()
        try:
            yield
        finally:
            self._add(start, self._mark())

    def read(self) -> float:
        """Return the seconds so far; on a GPU this waits for the last span to be finished."""
        for first, last in self._pending:
            last.synchronize()
            self._seconds += first.elapsed_time(last) / 1000
        self._pending.clear()
        return self._seconds

    def _mark(self) -> float | torch.cuda.Event:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def _add(self, first: float | torch.cuda.Event, last: float | torch.cuda.Event) -> None:
        if isinstance(first, float) and isinstance(last, float):
            self._seconds += last - first
        elif isinstance(first, torch.cuda.Event) and isinstance(last, torch.cuda.Event):
            self._pending.append((first, last))
