"""The log of one segment, written by the process that trains it."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from trainers.runtime.json_log import detail, json_log
from trainers.training.environment import Environment, environment
from trainers.training.segment import Outcome, Segment

PACKAGES = ("torch", "torchvision")

logger = logging.getLogger(__name__)


@contextmanager
def segment_log(segment: Segment) -> Iterator[None]:
    """Write the segment's log while the block runs; nothing where the segment names none."""
    if segment.log is None:
        yield
        return
    with json_log(segment.log, {"trainers": logging.INFO}), _warnings_logged():
        _log_began(segment)
        is_over = False
        try:
            yield
            is_over = True
        finally:
            if not is_over:
                logger.info("segment broke off", exc_info=True)


def log_ended(segment: Segment, outcome: Outcome) -> None:
    """Log what became of a segment; its members have logged their own endings."""
    steps = [member.step for member in outcome.members]
    logger.info(
        "segment ended",
        extra=detail(
            wall_seconds=round(outcome.wall_seconds, 3),
            reached=max(steps, default=segment.start),
            stop=segment.stop,
            interrupted=outcome.interrupted,
            device_name=outcome.device_name,
        ),
    )


def _log_began(segment: Segment) -> None:
    here = _environment()
    members = [
        {"key": m.key, "method": m.method, "params": dict(m.params), "checkpoint": m.checkpoint}
        for m in segment.members
    ]
    logger.info(
        "segment began",
        extra=detail(
            segment=segment.folder.name,
            host=here.host,
            pid=os.getpid(),
            device=segment.device,
            versions=here.versions,
            task=segment.task.name,
            seed=segment.seed,
            start=segment.start,
            stop=segment.stop,
            members=members,
        ),
    )


@cache
def _environment() -> Environment:
    """Return the environment of this process; read once, since that takes a while."""
    return environment(PACKAGES)


@contextmanager
def _warnings_logged() -> Iterator[None]:
    """Log Python's warnings, one for each line of code that gives one, instead of showing them."""
    seen: set[tuple[type[Warning], str, int]] = set()

    def note(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any
    ) -> None:
        place = (category, filename, lineno)
        if place not in seen:
            seen.add(place)
            where = f"{filename}:{lineno}"
            logger.info(
                "python warns",
                extra=detail(category=category.__name__, text=str(message), where=where),
            )

    with warnings.catch_warnings():
        warnings.showwarning = note  # type: ignore[assignment]
        yield
