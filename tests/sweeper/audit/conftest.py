"""A sound sweep, searched and confirmed twice, in a database to be copied: each test spoils one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sweeper.store.database import connect_engine


@pytest.fixture
def sound(sound_url: str) -> Iterator[Engine]:
    """An engine on it."""
    engine = connect_engine(sound_url, "test")
    yield engine
    engine.dispose()
