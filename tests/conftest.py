"""A real PostgreSQL for every test that wants one, and nothing of the user's own."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sweeper.postgres.embedded import Embedded
from sweeper.store.database import connect_engine
from sweeper.store.initialise import initialise
from tests.servers import end, execute_on, home_in, new_database, url_of

TEMPLATE = "template_store"


def pytest_configure() -> None:
    """Hear Ctrl-C, and let what is started hear it, where a shell has begun this in its background.

    There it is ignored, by every child too, and tests that interrupt one would wait for ever.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own: root's server is not root's."""
    folder = Path(tempfile.mkdtemp(prefix="sweeper-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def settings(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own settings and database out of every test."""
    monkeypatch.setenv("SWEEPER_HOME", str(open_folder / "home"))
    for name in ("SWEEPER_DATABASE_URL", "XDG_RUNTIME_DIR", "PGPASSWORD", "PGOPTIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def embedded(open_folder: Path) -> Iterator[Embedded]:
    """The running embedded server of SWEEPER_HOME, one for the whole session."""
    server = Embedded(home_in(open_folder, "home"))
    server.ensure_running()
    for setting in ("fsync = off", "full_page_writes = off", "max_wal_size = '64MB'"):
        execute_on(server, f"ALTER SYSTEM SET {setting}")  # nothing need outlive a power cut
    execute_on(server, "SELECT pg_reload_conf()")
    yield server
    end(server)


@pytest.fixture
def empty_url(embedded: Embedded) -> Iterator[str]:
    """URL of a new database without any table."""
    with new_database(embedded, "") as url:
        yield url


@pytest.fixture
def store_url(embedded: Embedded, template: str) -> Iterator[str]:
    """URL of a new database as `sweeper db init` leaves it."""
    with new_database(embedded, f"TEMPLATE {template}") as url:
        yield url


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    """An engine on a new database as `sweeper db init` leaves it."""
    engine = connect_engine(store_url, "test")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def template(embedded: Embedded) -> str:
    """Name of an initialised database to copy: that is quicker than making one."""
    execute_on(embedded, f"CREATE DATABASE {TEMPLATE}")
    initialise(url_of(embedded, TEMPLATE))
    return TEMPLATE
