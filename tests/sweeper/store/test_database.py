"""Which database is used, and what its connections are like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sweeper.core.errors import ConfigError, DatabaseError
from sweeper.postgres.embedded import Embedded
from sweeper.postgres.engine import database_errors
from sweeper.store.database import (
    chosen_url,
    connect_engine,
    open_store,
    optuna_url,
    resolve_url,
)
from tests.servers import PASSWORD, QUOTED, free_port

GIVEN = "postgresql+psycopg2://me@option/x"


def test_the_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEPER_DATABASE_URL", "postgresql://me@environment/x")
    assert chosen_url("postgresql://me@option/x") == GIVEN
    assert chosen_url(None) == "postgresql+psycopg2://me@environment/x"


def test_the_embedded_server_is_used_when_nothing_is_given(
    embedded: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_url(None) == embedded.url


def test_another_database_than_postgresql_is_refused() -> None:
    with pytest.raises(ConfigError, match="sqlite"):
        resolve_url("sqlite:///x.db")


@pytest.mark.parametrize(("setting", "value"), [("timezone", "UTC"), ("application_name", "test")])
def test_every_connection_is_named_and_in_utc(engine: Engine, setting: str, value: str) -> None:
    with engine.connect() as connection:
        assert connection.scalar(text(f"SHOW {setting}")) == value


def test_a_server_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(DatabaseError, match=r"me:\*\*\*@127.0.0.1.*refused.*Is the") as caught:
        connect_engine(f"postgresql://me:hunter2@127.0.0.1:{free_port()}/x")
    assert "hunter2" not in str(caught.value) and "\n" not in str(caught.value)


def test_an_error_of_the_driver_itself_is_one_clear_line(engine: Engine) -> None:
    with (
        pytest.raises(DatabaseError, match=r"nothing.* does not exist"),
        database_errors(engine.url),
        engine.connect() as connection,
    ):
        connection.connection.cursor().execute("SELECT nothing")


def test_a_database_that_is_not_there_is_one_clear_line(embedded: Embedded) -> None:
    with pytest.raises(DatabaseError, match="create the database first"):
        connect_engine(embedded.url.replace("/sweeper?", "/absent?"))


def test_a_wrong_password_is_one_clear_line(password_port: int) -> None:
    url = f"postgresql://admin:hunter2@127.0.0.1:{password_port}/postgres"
    with pytest.raises(DatabaseError, match="password authentication failed.*PGPASSWORD") as caught:
        connect_engine(url)
    assert "hunter2" not in str(caught.value)


def test_a_missing_password_is_one_clear_line(password_port: int) -> None:
    with pytest.raises(DatabaseError, match="no password supplied.*PGPASSWORD"):
        connect_engine(f"postgresql://admin@127.0.0.1:{password_port}/postgres")


def user_of(url: str) -> str:
    engine = connect_engine(url)
    with engine.connect() as connection:
        user = str(connection.scalar(text("SELECT current_user")))
    engine.dispose()
    return user


def test_the_password_may_come_from_the_environment(
    password_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert user_of(f"postgresql://admin@127.0.0.1:{password_port}/postgres") == "admin"


def test_the_password_may_come_from_the_password_file(
    password_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    escaped = PASSWORD.replace(":", "\\:")
    (tmp_path / "pgpass").write_text(f"127.0.0.1:*:*:admin:{escaped}\n")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    assert user_of(f"postgresql://admin@127.0.0.1:{password_port}/postgres") == "admin"


def test_a_password_with_odd_characters_reaches_optuna_too(admin_url: str) -> None:
    assert QUOTED in admin_url
    store = open_store(admin_url)
    try:
        assert store.storage.get_all_studies() == []
    finally:
        store.close()


def test_optuna_connections_are_in_utc_under_a_name() -> None:
    assert "timezone" in optuna_url(GIVEN) and "application_name=sweeper+optuna" in optuna_url(
        GIVEN
    )


def test_the_plain_url_serves_optunas_own_program(store_url: str) -> None:
    program = [sys.executable, "-c", "from optuna.cli import main; main()"]
    command = [*program, "studies", "--storage", store_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
