"""What tests do with real servers: embedded ones, and one that asks for a password."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg2

from sweeper.postgres.embedded import Embedded
from sweeper.postgres.file_locks import is_held
from sweeper.postgres.url import parse_url, rendered
from tests.waiting import eventually

PASSWORD = "p@ss/w:rd%7B{x}"
QUOTED = "p%40ss%2Fw%3Ard%257B%7Bx%7D"  # the same in a URL


def home_in(folder: Path, name: str) -> Path:
    """Return a home for a server whose copy of the programs, if it needs one, is shared."""
    programs = folder / "programs"
    for new in (programs, folder / name, folder / name / "postgresql"):
        new.mkdir(exist_ok=True)
        new.chmod(0o755)
    (folder / name / "postgresql" / "programs").symlink_to(programs)
    return folder / name


def end(server: Embedded) -> None:
    """Stop a server and wait until its watcher has seen it."""
    server.stop(force=True)
    eventually(lambda: not is_held(server.layout.watcher), 30)


def url_of(embedded: Embedded, name: str) -> str:
    """Return the URL of one of the server's databases."""
    return rendered(parse_url(embedded.url).set(database=name))


@contextmanager
def new_database(embedded: Embedded, how: str) -> Iterator[str]:
    """Create a database for as long as the block runs; yields its URL."""
    name = f"test_{uuid4().hex[:12]}"
    execute_on(embedded, f"CREATE DATABASE {name} {how}")
    yield url_of(embedded, name)
    execute_on(embedded, f"DROP DATABASE {name} WITH (FORCE)")


def execute_on(embedded: Embedded, statement: str) -> None:
    """Run a statement on an embedded server, outside of every test's database."""
    with closing(embedded.connect("postgres")) as session, session.cursor() as cursor:
        cursor.execute(statement)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def execute(port: int, statement: str, database: str = "postgres") -> None:
    """Run a statement on the server with passwords, as its superuser."""
    session = psycopg2.connect(
        host="127.0.0.1", port=port, user="admin", password=PASSWORD, dbname=database
    )
    session.autocommit = True
    with closing(session), session.cursor() as cursor:
        cursor.execute(statement)
