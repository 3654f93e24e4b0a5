"""How a training in a terminal says how far it is, and hears that it shall stop."""

from __future__ import annotations

import signal
import time
from types import FrameType

import click

PROGRESS_SECONDS = 3.0


class Interrupt:
    """Turns the first Ctrl-C into a wish to stop; the second one ends the process as usual."""

    def __init__(self) -> None:
        self.is_wanted = False

    def __enter__(self) -> Interrupt:
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.is_wanted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        click.echo("\nfinishing the step, then writing a checkpoint; Ctrl-C again to drop it")


class Progress:
    """Says every few seconds how far a training is, and how long the rest will take."""

    def __init__(self, steps: int, start: int) -> None:
        self._steps, self._start = steps, start
        self._began = self._said = time.monotonic()

    def __call__(self, step: int) -> None:
        """Note the step reached."""
        now = time.monotonic()
        if now - self._said < PROGRESS_SECONDS:
            return
        self._said = now
        rate = (step - self._start) / (now - self._began)
        left = (self._steps - step) / rate
        click.echo(f"  step {step}/{self._steps}, {rate:.1f} steps/s, {left:.0f} s left")
