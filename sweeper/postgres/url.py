"""Database URLs: parsed once at the edge, never shown with a password."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from sweeper.core.errors import ConfigError

DRIVER = "postgresql+psycopg2"  # named, since SQLAlchemy's own default is another driver
ACCEPTED = ("postgresql", "postgres", DRIVER)
FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
SECRETS = ("password", "sslpassword")
CLIENT_DEFAULTS = {
    "connect_timeout": "10",
    "tcp_user_timeout": "30000",  # ms: data that nobody acknowledges ends the connection
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


def parse_url(text: str) -> URL:
    """Return the URL with the driver named; raises ConfigError, which never shows a password."""
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme not in ACCEPTED:
        given = repr(scheme + "://...") if scheme else "a text without '://'"
        raise ConfigError(
            f"the database is given as {given}, but sweeper needs PostgreSQL (row locks, several"
            f" connections at once, one driver): {FORM}"
        )
    try:
        url = make_url(text).set(drivername=DRIVER)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(f"the database URL cannot be read; its form is {FORM}") from error
    _check(url)
    return url


def _check(url: URL) -> None:
    if "@" in (url.host or ""):
        raise ConfigError(
            "the database URL holds more than one '@'; in a password write @ as %40, / as %2F,"
            " : as %3A and % as %25"
        )
    if not url.database:
        raise ConfigError(f"the database URL {masked(url)} names no database; its form is {FORM}")


def masked(url: URL | str) -> str:
    """Return the URL as it may be shown: every password as `***`."""
    parsed = parse_url(url) if isinstance(url, str) else url
    hidden = {key: "***" for key in SECRETS if key in parsed.query}
    return _shown(parsed.update_query_dict(hidden).render_as_string(hide_password=True))


def _shown(rendered: str) -> str:
    return rendered.replace("%2F", "/").replace("password=%2A%2A%2A", "password=***")


def rendered(url: URL) -> str:
    """Return the URL as text, with its password: for connecting, never for showing."""
    return url.render_as_string(hide_password=False)


def with_settings(url: URL, application_name: str, settings: Mapping[str, str]) -> URL:
    """Return the URL whose every connection has this name and these server settings.

    Options that the URL brings itself are kept, before ours.
    """
    own = [f"-c {key}={value}" for key, value in settings.items()]
    given = url.query.get("options", ())
    options = [given] if isinstance(given, str) else list(given)
    defaults = {key: value for key, value in CLIENT_DEFAULTS.items() if key not in url.query}
    return url.update_query_dict(
        {**defaults, "application_name": application_name, "options": " ".join(options + own)}
    )


def libpq_uri(url: URL) -> tuple[str, dict[str, str]]:
    """Return the URL as libpq's programs take it, and the environment that holds its password.

    A password on the command line would be visible to everybody on this host.
    """
    query = {key: value for key, value in url.normalized_query.items() if key not in SECRETS}
    password = url.password or next(iter(url.normalized_query.get("password", ())), None)
    user = quote(url.username or "", safe="")
    host = f"[{url.host}]" if ":" in (url.host or "") else url.host or ""
    place = f"{user}@{host}" if user else host
    port = f":{url.port}" if url.port else ""
    tail = urlencode(query, doseq=True, quote_via=quote)
    uri = f"postgresql://{place}{port}/{quote(url.database or '', safe='')}"
    environment = {} if password is None else {"PGPASSWORD": str(password)}
    return (f"{uri}?{tail}" if tail else uri), environment
