"""Database URLs: what is accepted, and that no password is ever shown."""

from __future__ import annotations

import pytest

from sweeper.core.errors import ConfigError
from sweeper.core.passwords import mask_passwords
from sweeper.postgres.url import libpq_uri, masked, parse_url, with_settings

SECRET = "postgresql://me:hunter2@db.example:5433/sweeps?sslmode=require"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_the_driver_is_always_named(scheme: str) -> None:
    assert parse_url(f"{scheme}://me@host/sweeps").drivername == "postgresql+psycopg2"


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///hunter2.db",
        "mysql://me:hunter2@host/x",
        "hunter2",
        "postgresql+asyncpg://me:hunter2@host/x",
        "postgresql://me:hunter2@host:port/x",
        "postgresql://me:hun@ter2@host/x",
        "postgresql://me:hunter2@host",
    ],
)
def test_another_url_is_refused_with_the_form_and_without_the_password(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(text)
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize("text", [SECRET, "postgresql://me@host/x?password=hunter2"])
def test_a_password_is_masked_wherever_it_stands(text: str) -> None:
    assert "hunter2" not in masked(text)
    assert "***" in masked(text)


def test_a_socket_folder_is_shown_as_it_is_written() -> None:
    text = "postgresql+psycopg2://sweeper@/sweeper?host=/var/lib/socket"
    assert masked(text) == text


@pytest.mark.parametrize(
    "line",
    ["sweeper launch --database " + SECRET, "x postgres://a:b/hunter2@c/d y", "password=hunter2"],
)
def test_a_command_line_is_masked(line: str) -> None:
    assert "hunter2" not in mask_passwords(line)


def test_options_of_the_url_are_kept_beside_ours() -> None:
    given = parse_url("postgresql://me@host/x?options=-c%20work_mem%3D1MB&connect_timeout=3")
    query = with_settings(given, "name", {"timezone": "UTC"}).query
    assert query["options"] == "-c work_mem=1MB -c timezone=UTC"
    assert query["connect_timeout"] == "3"


def test_programs_get_the_password_in_the_environment_only() -> None:
    uri, environment = libpq_uri(parse_url(SECRET))
    assert uri == "postgresql://me@db.example:5433/sweeps?sslmode=require"
    assert environment == {"PGPASSWORD": "hunter2"}


def test_programs_get_options_with_spaces_as_percent_codes() -> None:
    uri, _ = libpq_uri(parse_url("postgresql://[::1]/x?options=-c%20a%3Db"))
    assert uri == "postgresql://[::1]/x?options=-c%20a%3Db"
