"""The whole store as one file, and back, by PostgreSQL's own programs."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy import text

from sweeper.core.config import child_environment
from sweeper.core.errors import DatabaseError
from sweeper.postgres.binaries import bundled
from sweeper.postgres.engine import connect_engine, database_errors
from sweeper.postgres.url import libpq_uri, masked, parse_url
from sweeper.store.columns import SCHEMA
from sweeper.store.initialise import make_reader

ENCRYPTED = {"require", "verify-ca", "verify-full"}
# Newer programs say this to servers that do not know it yet.
UNKNOWN_BEFORE_17 = b"SET transaction_timeout = 0;"
# A line of `pg_restore --list`: number; class and object id, kind, schema, name, owner.
CONTENTS = re.compile(r"^\d+; \d+ \d+ (TABLE|TYPE) (?!DATA )(\S+) (\S+) ", re.MULTILINE)
# The original may live on, and share a --checkpoint-dir: each sweep goes on in a folder of its own.
NEW_FOLDERS = f"""
DO $$ BEGIN
  IF to_regclass('{SCHEMA}.sweep') IS NOT NULL THEN
    UPDATE {SCHEMA}.sweep SET folder = name || '-' || left(gen_random_uuid()::text, 8);
  END IF;
END $$;
"""
NUM_TABLES = text(
    "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
)


def dump(url: str, file: Path) -> None:
    """Write the whole database to a new `file`, which appears only when it is complete."""
    if file.exists():
        raise DatabaseError(f"{file} exists already; remove it or choose another name")
    aside = file.with_name(f".{file.name}.partial")
    try:
        aside.touch(mode=0o600)
        flags = ["--format=custom", "--no-owner", "--no-privileges", f"--file={aside}"]
        _run(url, ["pg_dump", *flags])
        aside.rename(file)
    except OSError as error:
        raise DatabaseError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)


def restore(url: str, file: Path, overwrite: bool = False) -> list[str]:
    """Bring a dump back, in one transaction; returns what the user should know.

    Raises DatabaseError for a database that has tables, unless `overwrite` says to replace the
    store in it, and for a file that is no dump.
    """
    if not file.is_file():
        raise DatabaseError(f"{file} is not a file; give one that `sweeper db dump` wrote")
    engine = connect_engine(url, "sweeper db restore")
    try:
        with database_errors(url), engine.connect() as connection:
            found = connection.scalar(NUM_TABLES) or 0
        if found and not overwrite:
            raise DatabaseError(
                f"{masked(url)} has {found} tables already; restore into an empty database, or"
                " replace the store in this one with --overwrite"
            )
        _restore(url, file, overwrite=bool(found))
        with database_errors(url):
            return make_reader(engine)
    finally:
        engine.dispose()


def _restore(url: str, file: Path, *, overwrite: bool) -> None:
    read = ["pg_restore", "--no-owner", "--no-privileges", "--file=-", str(file.absolute())]
    with tempfile.NamedTemporaryFile(prefix="sweeper-", suffix=".sql") as script:
        script.write(b"SET client_min_messages = warning;\n")
        if overwrite:
            script.writelines(_drops(url, file))
        with tempfile.TemporaryFile() as plain:
            _run(url, read, plain.fileno(), connects=False)
            plain.seek(0)
            script.writelines(line for line in plain if line.strip() != UNKNOWN_BEFORE_17)
        script.write(NEW_FOLDERS.encode())
        script.flush()
        psql = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction"]
        _run(url, [*psql, f"--file={script.name}"], subprocess.DEVNULL)


def _drops(url: str, file: Path) -> list[bytes]:
    """Return statements that remove our schema and whatever else the dump is about to make."""
    with tempfile.TemporaryFile() as contents:
        _run(url, ["pg_restore", "--list", str(file.absolute())], contents.fileno(), connects=False)
        contents.seek(0)
        found = CONTENTS.findall(contents.read().decode())
    drops = [f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;\n"]
    for kind, schema, name in found:
        drops.append(f'DROP {kind} IF EXISTS "{schema}"."{name}" CASCADE;\n')
    return [drop.encode() for drop in drops]


def psql_command(url: str, arguments: list[str]) -> tuple[Path, list[str], dict[str, str]]:
    """Return program, arguments and environment of an interactive session on the database."""
    uri, secrets = libpq_uri(parse_url(url))
    program = _program(url, "psql")
    return program, [str(program), f"--dbname={uri}", *arguments], child_environment(secrets)


def _run(
    url: str, command: list[str], output: int = subprocess.PIPE, *, connects: bool = True
) -> None:
    uri, secrets = libpq_uri(parse_url(url))
    place = [f"--dbname={uri}"] if connects else []
    done = subprocess.run(
        [str(_program(url, command[0])), *place, *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        env=child_environment(secrets),
        check=False,
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise DatabaseError(f"{command[0]} failed on {masked(url)}: {said}")


def _program(url: str, name: str) -> Path:
    """Return the wheel's program; it speaks no TLS, so for that the system's own is taken."""
    if not ENCRYPTED.intersection(parse_url(url).normalized_query.get("sslmode", ())):
        return bundled().program(name)
    found = shutil.which(name)
    if found is None:
        raise DatabaseError(
            f"{masked(url)} asks for TLS, which the {name} that comes with sweeper does not speak;"
            " install PostgreSQL's client programs (postgresql-client)"
        )
    return Path(found)
