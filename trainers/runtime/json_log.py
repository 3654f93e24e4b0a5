"""Logs as JSON lines in one file, from the loggers of chosen packages. Needs no torch.

A file that cannot be written is one warning a process, never an error: the work goes on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


def detail(**values: Any) -> dict[str, Any]:
    """Return the `extra` of a logger's call whose values become keys of the line."""
    return {"detail": values}


class JsonLines(logging.Formatter):
    """One object a line: `at` (UTC), `level`, `source`, `event`, the detail, a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a value that JSON lacks is written as text."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        about = {"level": record.levelname.lower(), "source": record.name}
        line: dict[str, Any] = {"at": at, "event": record.getMessage()} | about
        line |= {k: v for k, v in getattr(record, "detail", {}).items() if k not in line}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class JsonLogFile(logging.FileHandler):
    """Appends lines to a file; after the first that cannot be written it writes no more."""

    def __init__(self, file: Path, levels: Mapping[str, int]) -> None:
        """Open the file; `levels` gives the lowest level of each package. OSError."""
        file.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(file, encoding="utf-8")
        self.setFormatter(JsonLines())
        self.addFilter(lambda record: record.levelno >= levels[record.name.partition(".")[0]])
        self._is_broken = False

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record."""
        if not self._is_broken:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - logging's
        """Give the file up, with one warning."""
        self._is_broken = True
        _warn(Path(self.baseFilename).parent, str(sys.exc_info()[1]))

    def close(self) -> None:
        """Close the file; what it could not take is lost."""
        with contextlib.suppress(OSError):
            super().close()


@contextmanager
def json_log(file: Path | None, levels: Mapping[str, int]) -> Iterator[None]:
    """Append to `file` what the packages in `levels` log, from those levels on."""
    handler = None if file is None else _open(file, levels)
    if handler is None:
        yield
        return
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        package = logging.getLogger(name)
        package.setLevel(min(level, package.getEffectiveLevel()))
        package.addHandler(handler)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).removeHandler(handler)
            logging.getLogger(name).setLevel(level)
        handler.close()


def _open(file: Path, levels: Mapping[str, int]) -> JsonLogFile | None:
    try:
        return JsonLogFile(file, levels)
    except OSError as error:
        _warn(file.parent, error.strerror or str(error))
        return None


@cache
def _warn(folder: Path, why: str) -> None:
    """Warn once a process that there will be no log."""
    logger.warning("no log can be written in %s: %s", folder, why)
