"""Reading: what a query may do, and the many ways in which it may not do more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from sweeper.core.errors import DatabaseError
from sweeper.postgres.read_only import reader_url, run_readonly
from sweeper.store.database import connect_engine
from sweeper.store.initialise import initialise

FORBIDDEN = [
    "INSERT INTO sweeper.event (kind, sweep_id, detail) VALUES ('x', 1, '{}') RETURNING id",
    "UPDATE sweeper.sweep SET name = 'x'",
    "WITH gone AS (DELETE FROM sweeper.sweep RETURNING id) SELECT * FROM gone",
    "RESET ROLE; DELETE FROM sweeper.sweep",
    "COMMIT; DROP SCHEMA sweeper CASCADE",
    "SELECT 1; SELECT 2",
    "COMMIT",
    "SET ROLE NONE",
    "RESET ROLE",
    "RESET SESSION AUTHORIZATION",
    "SET transaction_read_only = off",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "DO $$ BEGIN DELETE FROM sweeper.sweep; END $$",
    "CREATE TABLE public.x (a int)",
    "CREATE TEMP TABLE x (a int)",
    "COPY sweeper.sweep TO PROGRAM 'cat'",
    "COPY sweeper.sweep TO '/tmp/x'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT nextval('sweeper.sweep_id_seq')",
    "SELECT rolpassword FROM pg_authid",
    "",
    "SELECT * FROM sweeper.absent",
]


@pytest.fixture(params=["embedded", "server"])
def written(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A store with one sweep, on the embedded server and on one with passwords."""
    fixture = {"embedded": "empty_url", "server": "admin_url"}[request.param]
    url = request.getfixturevalue(fixture)
    initialise(url)
    engine = connect_engine(url, "test")
    add = """INSERT INTO sweeper.sweep (name, seed, protocol, protocol_hash, folder)
             VALUES (:n, 0, '{}', '', :n)"""
    with engine.begin() as connection:
        connection.execute(text(add), {"n": "first % :x"})
    yield engine
    engine.dispose()


def test_a_query_gives_columns_and_rows(written: Engine) -> None:
    columns, rows = run_readonly(written, "SELECT name, 1 + 1 AS two FROM sweeper.sweep;", 5)
    assert (columns, rows) == (["name", "two"], [("first % :x", 2)])


@pytest.mark.parametrize("table", ["sweeper.leaderboard", "sweeper.trials", "trials", "studies"])
def test_views_and_optunas_tables_can_be_read(written: Engine, table: str) -> None:
    assert run_readonly(written, f"SELECT count(*) FROM {table}", 5)[1] == [(0,)]


def test_percent_signs_and_colons_are_the_querys_own(written: Engine) -> None:
    sql = "SELECT name LIKE '%\\%%' AS a, ':x'::text AS b FROM sweeper.sweep -- 100 %s"
    assert run_readonly(written, sql, 5) == (["a", "b"], [(True, ":x")])


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_whatever_could_change_or_see_more_is_refused(store_url: str, sql: str) -> None:
    engine = connect_engine(store_url)
    with pytest.raises(DatabaseError) as caught:
        run_readonly(engine, sql, 5)
    engine.dispose()
    assert "\n" not in str(caught.value)


def test_nothing_has_changed_after_all_attempts(written: Engine, tmp_path: Path) -> None:
    for sql in FORBIDDEN:
        with pytest.raises(DatabaseError):
            run_readonly(written, sql, 5)
    assert run_readonly(written, "SELECT name FROM sweeper.sweep", 5)[1] == [("first % :x",)]


def test_a_query_that_leaves_its_role_shows_nothing(written: Engine) -> None:
    with pytest.raises(DatabaseError):
        run_readonly(written, "SELECT set_config('role', 'admin', false)", 5)


def test_a_slow_query_ends_with_its_time(engine: Engine) -> None:
    with pytest.raises(DatabaseError, match=r"longer than 0\.2 s"):
        run_readonly(engine, "SELECT pg_sleep(30)", 0.2)


def test_future_tables_can_be_read_as_well(written: Engine) -> None:
    with written.begin() as connection:
        connection.execute(text("CREATE TABLE sweeper.later (a int)"))
    assert run_readonly(written, "SELECT count(*) FROM sweeper.later", 5)[1] == [(0,)]


def test_a_store_without_the_reader_says_what_to_do(password_port: int, admin_url: str) -> None:
    engine = connect_engine(admin_url)
    with pytest.raises(DatabaseError, match="sweeper db init|refused"):
        run_readonly(engine, "SELECT * FROM sweeper.sweep", 5)
    engine.dispose()


def test_the_readers_url_reads_and_does_not_write(written: Engine) -> None:
    url = reader_url(written.url.render_as_string(hide_password=False))
    reading = create_engine(url)
    with reading.connect() as connection:
        assert connection.scalar(text("SELECT current_user")) == "sweeper_reader"
        assert connection.scalar(text("SHOW transaction_read_only")) == "on"
    reading.dispose()
