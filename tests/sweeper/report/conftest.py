"""Reports of the sweep in the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from sweeper.audit.run import run_audit
from sweeper.comparison.comparison import compare_sweep
from sweeper.report.writer import write_report
from tests.sweeper.report.pages import Page, Written


@pytest.fixture
def written(engine: Engine, tmp_path: Path) -> Written:
    """Return a writer of the report of the sweep in the store."""

    def write(name: str = "demo") -> Page:
        comparison = compare_sweep(engine, name)
        page = write_report(comparison, run_audit(comparison.evidence), tmp_path / "report")
        return Page(tmp_path / "report", page.read_text(encoding="utf-8"))

    return write
