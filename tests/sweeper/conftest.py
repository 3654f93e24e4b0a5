"""Stores ready for use, and a PostgreSQL 15 that asks for passwords, where it is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine

from sweeper.postgres.embedded import Embedded
from sweeper.postgres.owner import chosen_owner
from sweeper.store.database import Store, connect_engine, open_store
from tests.servers import PASSWORD, QUOTED, execute, execute_on, free_port, new_database, url_of
from tests.sweeper.confirmed import confirm
from tests.sweeper.synthetic import fill

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
CONFIRMED = "template_confirmed"
VALUES = {"baseline": [41.0, 41.5, 42.0], "kd": [43.0, 42.5], "rdd": [42.0, 41.0]}


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An initialised store in a database of its own."""
    opened = open_store(store_url, "test")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def demo_url(embedded: Embedded, template: str) -> Iterator[str]:
    """URL of a store with the sweep `demo`, one for all tests that only look."""
    with new_database(embedded, f"TEMPLATE {template}") as url:
        engine = connect_engine(url)
        fill(engine)
        engine.dispose()
        yield url


@pytest.fixture(scope="session")
def demo_engine(demo_url: str) -> Iterator[Engine]:
    """An engine on the store with the sweep `demo`."""
    engine = connect_engine(demo_url, "test")
    yield engine
    engine.dispose()


@pytest.fixture
def connection(demo_engine: Engine) -> Iterator[Connection]:
    """A transaction on it, which is taken back."""
    with demo_engine.connect() as connection:
        yield connection


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
def searched(store: Store) -> Store:
    """A store with the sweep `demo`, whose searches are finished."""
    fill(store.engine)
    return store


@pytest.fixture
def other_store(embedded: Embedded, template: str) -> Iterator[Store]:
    """A second one, for a run to compare with."""
    with new_database(embedded, f"TEMPLATE {template}") as url:
        opened = open_store(url, "test")
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def password_port(open_folder: Path) -> Iterator[int]:
    """Port on 127.0.0.1 of a server whose superuser is `admin`."""
    if not PROGRAMS.is_dir():
        pytest.skip(f"no PostgreSQL 15 in {PROGRAMS}: apt-get install postgresql-15")
    owner, folder = chosen_owner(), open_folder / "pg15"
    folder.mkdir(mode=0o700)
    secret = folder / "secret"
    secret.write_text(PASSWORD)
    for path in (folder, secret):
        shutil.chown(path, owner.uid, owner.gid)
    data = folder / "data"
    how = ["--username=admin", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
    owner.run([PROGRAMS / "initdb", *how, "--encoding=UTF8", "--pgdata", data])
    port, log = free_port(), folder / "log"
    quick = "-c fsync=off -c full_page_writes=off -c max_wal_size=64MB"
    options = f"-p {port} -c listen_addresses=127.0.0.1 {quick} -k {folder}"
    control = [PROGRAMS / "pg_ctl", "--wait", "--pgdata", data]
    owner.run([*control, "start", f"--log={log}", f"--options={options}"], log)
    yield port
    owner.run([*control, "stop", "--mode=immediate"])


@pytest.fixture
def admin_url(password_port: int) -> Iterator[str]:
    """URL, with its password, of a new database that belongs to the superuser."""
    name = f"test_{uuid4().hex[:12]}"
    execute(password_port, f"CREATE DATABASE {name}")
    yield f"postgresql://admin:{QUOTED}@127.0.0.1:{password_port}/{name}"
    execute(password_port, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def plain_user(password_port: int) -> Iterator[str]:
    """Name of a user without any right; the password is `plain`."""
    name = f"user_{uuid4().hex[:12]}"
    execute(password_port, f"CREATE ROLE {name} LOGIN PASSWORD 'plain'")
    yield name
    execute(password_port, f"DROP ROLE {name}")
