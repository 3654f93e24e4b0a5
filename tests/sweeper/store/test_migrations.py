"""The schema: revisions equal the tables, everything is explained, versions are respected."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from sweeper.core.errors import DatabaseError
from sweeper.store import migrations
from sweeper.store.initialise import ensure_schema
from sweeper.store.views import VIEWS
from tests.sweeper.store.engines import engine_of


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
