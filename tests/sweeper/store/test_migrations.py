"""The schema: revisions equal the tables, everything is explained, versions are respected."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from sweeper.core.errors import DatabaseError
from sweeper.postgres.read_only import run_readonly
from sweeper.store import migrations
from sweeper.store.database import connect_engine
from sweeper.store.initialise import ensure_schema, initialise
from sweeper.store.schema import metadata
from sweeper.store.views import VIEWS
from tests.servers import execute

UNEXPLAINED = """
SELECT c.relname, a.attname FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'sweeper'::regnamespace AND c.relkind = 'r'
  AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)
"""


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    engine = connect_engine(url, "test")
    yield engine
    engine.dispose()


def test_the_revisions_make_exactly_the_tables_of_the_code(engine: Engine) -> None:
    options = {
        "include_schemas": True,
        "include_name": lambda name, kind, _: kind != "schema" or name == "sweeper",
        "version_table_schema": "sweeper",
        "compare_type": True,
        "compare_server_default": True,
    }
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_every_table_and_column_is_explained(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(text(UNEXPLAINED)).all() == []


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_asked(engine: Engine, view: str) -> None:
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT * FROM sweeper.{view}")).all() == []


def test_every_revision_is_in_a_file_of_its_name_and_follows_the_one_before() -> None:
    folder = Path(migrations.__file__).parent
    config = Config()
    config.set_main_option("script_location", str(folder))
    chain = list(ScriptDirectory.from_config(config).walk_revisions())[::-1]
    assert [script.revision for script in chain] == sorted(
        Path(script.path).name.partition("_")[0] for script in chain
    )
    assert len(chain) == len(list((folder / "versions").glob("0*.py")))
    assert chain[-1].revision == migrations.head()


def test_an_upgrade_is_safe_to_repeat(empty_url: str) -> None:
    with engine_of(empty_url) as engine:
        assert migrations.current(engine) is None
        migrations.upgrade(engine)
        migrations.upgrade(engine)
        assert migrations.current(engine) == migrations.head()


def test_a_newer_store_is_refused(store_url: str) -> None:
    with engine_of(store_url) as engine:
        with engine.begin() as connection:
            connection.execute(text("UPDATE sweeper.alembic_version SET version_num = '9999'"))
        with pytest.raises(DatabaseError, match="'9999'.*newer"):
            migrations.upgrade(engine)
    with pytest.raises(DatabaseError, match="'9999'"):
        ensure_schema(store_url)


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


def test_a_user_without_rights_is_told_what_the_owner_must_run(
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
