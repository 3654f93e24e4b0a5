"""A dump restored elsewhere says the same: audit and verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.audit.run import run_audit
from sweeper.cli.renderings import document, verdict_sheet
from sweeper.comparison.comparison import Comparison
from sweeper.comparison.evidence import read_evidence
from sweeper.store.database import connect_engine, open_store
from sweeper.store.dump import dump, restore
from tests.sweeper.driven import NAME, search_and_confirm


@pytest.fixture
def dumped(store_url: str, tmp_path: Path) -> Iterator[Path]:
    """A dump of a searched and confirmed sweep."""
    store = open_store(store_url, "test")
    search_and_confirm(store, tmp_path)
    store.close()
    dump(store_url, tmp_path / "all.dump")
    yield tmp_path / "all.dump"


def said_of(url: str) -> tuple[list[tuple[str, str]], str]:
    """Return every rule's state, and the verdicts as `compare --format csv` prints them."""
    engine = connect_engine(url, "test")
    evidence = read_evidence(engine, NAME)
    audit = run_audit(evidence, replay=True)
    engine.dispose()
    assert not audit.is_void, [finding.evidence for finding in audit.broken]
    states = [(finding.rule.name, finding.state.value) for finding in audit.findings]
    return states, document(verdict_sheet(Comparison(evidence), audit.stamps), "csv")


def test_a_restored_sweep_has_the_audit_and_the_verdicts_of_the_original(
    store_url: str, empty_url: str, dumped: Path
) -> None:
    restore(empty_url, dumped)
    assert said_of(empty_url) == said_of(store_url)
