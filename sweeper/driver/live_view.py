"""The live view of a running sweep: a table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sweeper.postgres.retry import AWAY
from sweeper.scheduler.progress import StudyProgress, SweepProgress
from trainers.tasks.schema import METRIC

REFRESH_S = 1.0
PLAIN_LINE_S = 10.0


class Clock:
    """Rate and time to finish since a start; steps trained before the start do not count."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._started = now()
        self._first: tuple[int, int] | None = None  # steps, trials

    def summary(self, progress: SweepProgress) -> str:
        """Return one line: trials, steps per second, trials per hour, time to finish."""
        if self._first is None:
            self._first = (progress.trained_steps, progress.decided)
        elapsed = max(self._now() - self._started, 1e-9)
        # What is lost with a worker counts no more: then the sum falls.
        steps_per_s = max(progress.trained_steps - self._first[0], 0) / elapsed
        trials_per_h = (progress.decided - self._first[1]) / elapsed * 3600
        left = "" if progress.is_done else f", {_to_go(progress.left_steps, steps_per_s)} to go"
        return (
            f"{progress.decided}/{progress.budget} trials, {steps_per_s:.1f} steps/s, "
            f"{trials_per_h:.0f} trials/h, {duration(elapsed)} gone{left}"
        )


def _nothing() -> Sequence[str]:
    return ()


@contextmanager
def live_view(
    read: Callable[[], SweepProgress],
    title: str,
    about: Callable[[], Sequence[str]] = _nothing,
    *,
    stderr: bool = True,
) -> Iterator[Callable[[str], None]]:
    """Show progress while the block runs; yields a function that prints a line above it.

    The lines `about` the sweep stand below the table; outside a terminal only the first of them.
    """
    console = Console(stderr=stderr)
    clock = Clock()
    if not console.is_terminal:
        say = partial(click.echo, err=stderr)
        said: list[str] = []

        def tell() -> None:
            line = _plain(read(), clock, about())
            if line not in said:
                said[:] = [line]
                say(line)

        with _repeat(tell, PLAIN_LINE_S):
            yield say
        return
    view = Live(console=console, auto_refresh=False)

    def show() -> None:
        table = _table(read(), clock, title)
        view.update(Group(table, *map(Text, about())), refresh=True)

    with view, _repeat(show, REFRESH_S):
        yield lambda line: console.print(line, markup=False, highlight=False)


@contextmanager
def _repeat(action: Callable[[], None], interval_s: float) -> Iterator[None]:
    over = threading.Event()

    def show() -> None:
        with contextlib.suppress(*AWAY):  # away for a moment: the next time will do
            action()

    def run() -> None:
        show()
        while not over.wait(interval_s):
            show()

    thread = threading.Thread(target=run, name="live view", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        show()


def _plain(progress: SweepProgress, clock: Clock, about: Sequence[str]) -> str:
    return "; ".join([clock.summary(progress), *map(_short, progress.studies), *about[:1]])


def _short(study: StudyProgress) -> str:
    best = f", best {study.best_score:.2f}" if study.best_score is not None else ""
    state = f", {study.state}" if study.state != "active" else ""
    return f"{study.name} {study.decided}/{study.budget}{best}{state}"


def _table(progress: SweepProgress, clock: Clock, title: str) -> Group:
    table = Table(title=title, title_justify="left")
    table.add_column("method")
    for heading in ("trials", "of", f"best {METRIC}", "complete", "pruned", "diverged", "failed"):
        table.add_column(heading, justify="right")
    table.add_column("state")
    for study in progress.studies:
        best = f"{study.best_score:.2f}" if study.best_score is not None else "-"
        counts = (study.complete, study.pruned, study.diverged, study.failed)
        state = study.state if study.state != "active" else _activity(study)
        numbers = map(str, (study.decided, study.budget))
        table.add_row(study.name, *numbers, best, *map(str, counts), state)
    return Group(table, Text(clock.summary(progress)))


def _activity(study: StudyProgress) -> str:
    if study.decided >= study.budget:
        return "done"
    return f"{study.undecided} open" if study.undecided else "to be planned"


def _to_go(steps: int, steps_per_s: float) -> str:
    return f"about {duration(steps / steps_per_s)}" if steps_per_s > 0 else "unknown time"


def duration(seconds: float) -> str:
    """Return a length of time for people: 45 s, 3 min 20 s, 3 h 20 min."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
