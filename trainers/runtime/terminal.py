"""How long work in a terminal says how far it is, and hears that it shall stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

PROGRESS_SECONDS = 3.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Say = Callable[[str], None]


@contextmanager
def stop_on_signal(say: Say) -> Iterator[threading.Event]:
    """Yield an event that the first stop signal sets; the second raises KeyboardInterrupt.

    Only the main thread can take signals; the handlers that were there before are put back.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - fixed signature
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        name = signal.Signals(number).name
        say(f"{name}: finishing the running step and saving; once more stops at once")

    before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Progress:
    """Says every few seconds how far a training is, and how long the rest will take."""

    def __init__(self, steps: int, start: int, say: Say) -> None:
        self._steps, self._start, self._say = steps, start, say
        self._began = self._said = time.monotonic()

    def __call__(self, step: int) -> None:
        """Note the step reached."""
        now = time.monotonic()
        if now - self._said < PROGRESS_SECONDS or step <= self._start:  # no step, no rate yet
            return
        self._said = now
        rate = (step - self._start) / (now - self._began)
        left = (self._steps - step) / rate
        self._say(f"  step {step}/{self._steps}, {rate:.1f} steps/s, {left:.0f} s left")
