"""The schema: revisions equal the tables, everything is explained, versions are respected."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from sweeper.core.errors import DatabaseError
from sweeper.store import migrations
from sweeper.store.initialise import ensure_schema, initialise
from sweeper.store.views import VIEWS
from tests.sweeper.store.engines import engine_of
from tests.sweeper.synthetic import fill


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


@pytest.mark.parametrize("found", ["0001", "0006"])
def test_a_store_from_before_the_first_release_is_refused(store_url: str, found: str) -> None:
    with engine_of(store_url) as engine, engine.begin() as connection:
        changed = text("UPDATE sweeper.alembic_version SET version_num = :found")
        connection.execute(changed, {"found": found})
    for refusing in (ensure_schema, initialise):
        with pytest.raises(DatabaseError, match=f"'{found}'.*first release.*an empty database"):
            refusing(store_url)


LATER = '''"""A column more."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sweep", sa.Column("more", sa.Text(), server_default="x"), schema="sweeper")
'''


def test_an_older_store_is_upgraded_where_that_is_asked_for_and_keeps_its_rows(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine_of(store_url) as engine:
        fill(engine)
    folder = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, folder)
    (folder / "versions" / "0011_more.py").write_text(LATER)
    monkeypatch.setattr(migrations, "__file__", str(folder / "__init__.py"))
    with pytest.raises(DatabaseError, match=r"at revision '0010'.*needs '0011'; run `sweeper db"):
        ensure_schema(store_url)
    assert initialise(store_url) == []
    with engine_of(store_url) as engine:
        assert migrations.current(engine) == "0011"
        with engine.connect() as connection:
            swept = connection.execute(text("SELECT name, more FROM sweeper.sweep")).all()
            assert swept == [("demo", "x")]
            assert connection.scalar(text("SELECT count(*) FROM sweeper.trials")) == 48
