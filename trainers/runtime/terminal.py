"""Progress and stop signals of a long run in a terminal."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

PROGRESS_SECONDS = 3.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PrintLine = Callable[[str], None]


@contextmanager
def stop_on_signal(print_line: PrintLine) -> Iterator[threading.Event]:
    """Yield an event that the first stop signal sets; the second raises KeyboardInterrupt.

    Only the main thread can take signals; the handlers that were there before are put back.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - fixed signature
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        name = signal.Signals(number).name
        print_line(f"{name}: finishing the running step and saving; once more stops at once")

    before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Progress:
    """Prints every few seconds how far a training is, and how long the rest will take."""

    def __init__(self, steps: int, start: int, print_line: PrintLine) -> None:
        self._steps, self._start, self._print_line = steps, start, print_line
        self._began = self._printed = time.monotonic()

    def __call__(self, step: int) -> None:
        """Note the step reached."""
        now = time.monotonic()
        if now - self._printed < PROGRESS_SECONDS or step <= self._start:  # no step, no rate yet
            return
        self._printed = now
        rate = (step - self._start) / (now - self._began)
        left = (self._steps - step) / rate
        self._print_line(f"  step {step}/{self._steps}, {rate:.1f} steps/s, {left:.0f} s left")
