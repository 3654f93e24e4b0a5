"""A sound sweep, searched and confirmed twice, in a database to be copied: each test spoils one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sweeper.postgres.embedded import Embedded
from sweeper.store.database import connect_engine
from tests.conftest import new_database
from tests.servers import execute_on, url_of
from tests.sweeper.confirmed import confirm
from tests.sweeper.synthetic import fill

CONFIRMED = "template_confirmed"
VALUES = {"baseline": [41.0, 41.5, 42.0], "kd": [43.0, 42.5], "rdd": [42.0, 41.0]}


@pytest.fixture(scope="session")
def confirmed(embedded: Embedded, template: str) -> str:
    """Name of a database with the sweep `demo`, ready to be copied."""
    execute_on(embedded, f"CREATE DATABASE {CONFIRMED} TEMPLATE {template}")
    engine = connect_engine(url_of(embedded, CONFIRMED), "test")
    fill(engine)
    confirm(engine, VALUES, stages=2)
    confirm(engine, VALUES, more=True)
    engine.dispose()
    return CONFIRMED


@pytest.fixture
def sound_url(embedded: Embedded, confirmed: str) -> Iterator[str]:
    """URL of a store with a sound sweep, the test's own."""
    with new_database(embedded, f"TEMPLATE {confirmed}") as url:
        yield url


@pytest.fixture
def sound(sound_url: str) -> Iterator[Engine]:
    """An engine on it."""
    engine = connect_engine(sound_url, "test")
    yield engine
    engine.dispose()
