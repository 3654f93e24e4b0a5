"""A database is made ready once, by whoever may, and again without a change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from sweeper.core.errors import DatabaseError
from sweeper.postgres.read_only import run_readonly
from sweeper.store.initialise import ensure_schema, initialise
from tests.servers import execute
from tests.sweeper.store.engines import engine_of


def test_a_changed_view_is_made_anew(store_url: str) -> None:
    with engine_of(store_url) as engine:
        with engine.begin() as connection:
            connection.execute(text("DROP VIEW sweeper.trials CASCADE"))
            connection.execute(text("COMMENT ON SCHEMA sweeper IS 'views of another version'"))
        assert ensure_schema(store_url) == []
        assert run_readonly(engine, "SELECT count(*) FROM sweeper.trials", 5)[1] == [(0,)]


def test_initialising_twice_changes_nothing(empty_url: str) -> None:
    assert initialise(empty_url) == []
    assert initialise(empty_url) == []
    assert ensure_schema(empty_url) == []


def test_two_that_initialise_at_once_do_not_disturb_each_other(empty_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(initialise, [empty_url, empty_url])) == [[], []]


def test_a_user_without_rights_reads_what_the_owner_must_run(
    admin_url: str, plain_user: str
) -> None:
    url = admin_url.replace(admin_url.split("//")[1].split("@")[0], f"{plain_user}:plain")
    with pytest.raises(DatabaseError, match=r"GRANT CREATE ON DATABASE.*GRANT CREATE, USAGE"):
        initialise(url)


def test_a_user_who_may_not_make_roles_gets_a_store_and_a_note(
    admin_url: str, plain_user: str, password_port: int
) -> None:
    base = admin_url.rpartition("/")[2]
    execute(password_port, f"ALTER DATABASE {base} OWNER TO {plain_user}")
    url = admin_url.replace(admin_url.split("//")[1].split("@")[0], f"{plain_user}:plain")
    (note,) = initialise(url)
    assert "GRANT sweeper_reader" in note
    execute(password_port, f"ALTER DATABASE {base} OWNER TO admin")
    execute(password_port, f"REASSIGN OWNED BY {plain_user} TO admin", base)
    execute(password_port, f"DROP OWNED BY {plain_user}", base)


def test_a_user_of_the_schemas_name_keeps_optunas_tables_apart(
    admin_url: str, password_port: int
) -> None:
    base = admin_url.rpartition("/")[2]
    execute(password_port, "CREATE ROLE sweeper SUPERUSER LOGIN PASSWORD 'plain'")
    url = admin_url.replace(admin_url.split("//")[1].split("@")[0], "sweeper:plain")
    try:
        assert initialise(url) == []
        with engine_of(url) as engine, engine.connect() as connection:
            assert connection.scalar(text("SELECT to_regclass('public.trials')")) is not None
            assert connection.scalar(text("SHOW search_path")) == "public"
    finally:
        execute(password_port, "REASSIGN OWNED BY sweeper TO admin", base)
        execute(password_port, "DROP OWNED BY sweeper", base)
        execute(password_port, "DROP ROLE sweeper")
