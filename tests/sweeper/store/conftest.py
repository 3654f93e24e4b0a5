"""Transactions on a store that is filled once: what a test changes in one is taken back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from sweeper.store.database import connect_engine


@pytest.fixture(scope="session")
def demo_engine(demo_url: str) -> Iterator[Engine]:
    """An engine on the store with the sweep `demo`."""
    engine = connect_engine(demo_url, "test")
    yield engine
    engine.dispose()


@pytest.fixture
def connection(demo_engine: Engine) -> Iterator[Connection]:
    """A transaction on it."""
    with demo_engine.connect() as connection:
        yield connection
