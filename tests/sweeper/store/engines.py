"""An engine for as long as a test looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from sweeper.store.database import connect_engine


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    engine = connect_engine(url, "test")
    yield engine
    engine.dispose()
