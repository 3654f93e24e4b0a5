"""Writing a report: the page, and every table beside it."""

from __future__ import annotations

import os
from pathlib import Path

from sweeper.audit.run import Audit
from sweeper.comparison.comparison import Comparison
from sweeper.core.constants import VERSION
from sweeper.core.errors import SweeperError
from sweeper.report.content import PageContent
from sweeper.report.page import render_page
from sweeper.store.named_queries import as_csv

PAGE = "index.html"


def write_report(comparison: Comparison, audit: Audit, folder: Path) -> Path:
    """Write the page and `data/NAME.csv` of every table into a folder, and return the page.

    Raises SweeperError where no trial has ended yet, or the folder cannot be written.
    """
    evidence = comparison.evidence
    if not (evidence.trials["state"] != "RUNNING").any():
        raise SweeperError(
            f"no trial of {evidence.name} has ended yet, so there is nothing to report; see how "
            f"far it is with `sweeper status {evidence.name}`"
        )
    page = PageContent(
        comparison=comparison,
        figures=comparison.figures(),
        audit=audit,
        version=VERSION,
    )
    contents = {Path(PAGE): render_page(page)}
    contents |= {
        Path("data", f"{name}.csv"): as_csv(frame) for name, frame in comparison.tables().items()
    }
    try:
        (folder / "data").mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            _write(folder / name, content)
    except OSError as error:
        raise SweeperError(f"--output {folder} cannot be written: {error.strerror}") from error
    return folder / PAGE


def _write(file: Path, content: str) -> None:
    """Write a file aside and rename it: whoever opens it sees the old one or the new one."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    aside.write_text(content, encoding="utf-8")
    aside.replace(file)
