"""Stores ready for use: each test has its own database, and a second one to compare with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sweeper.postgres.embedded import Embedded
from sweeper.store.database import Store, open_store
from tests.servers import new_database


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An initialised store in a database of its own."""
    opened = open_store(store_url, "test")
    yield opened
    opened.close()


@pytest.fixture
def other_store(embedded: Embedded, template: str) -> Iterator[Store]:
    """A second one, for a run to compare with."""
    with new_database(embedded, f"TEMPLATE {template}") as url:
        opened = open_store(url, "test")
        yield opened
        opened.close()
