"""Which database a command uses, and what it holds: engine, Optuna's storage, the schema ready."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from sweeper.core.config import load_config
from sweeper.postgres.embedded import Embedded
from sweeper.postgres.engine import connect_engine, connect_storage, optuna_url
from sweeper.postgres.url import parse_url, rendered
from sweeper.store.initialise import ensure_schema

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

__all__ = ["Store", "chosen_url", "connect_engine", "embedded_server", "open_store"]
__all__ += ["optuna_url", "resolve_url"]

logger = logging.getLogger(__name__)


class Store:
    """A database whose schema is ready; its connections end with `close`."""

    def __init__(self, url: str, engine: Engine) -> None:
        self.url = url
        self.engine = engine

    @cached_property
    def storage(self) -> RDBStorage:
        """Optuna's storage on this database, made when it is first asked for."""
        return connect_storage(self.url)

    def close(self) -> None:
        """End every connection."""
        self.engine.dispose()
        if "storage" in self.__dict__:
            self.storage.engine.dispose()


def open_store(option: str | None = None, application: str = "sweeper") -> Store:
    """Return the store that `--database` or the settings name; an empty one is initialised.

    Raises ConfigError for a URL that cannot be used, DatabaseError where no database answers.
    """
    url = resolve_url(option)
    for note in ensure_schema(url):
        logger.warning("%s", note)
    return Store(url, connect_engine(url, application))


def chosen_url(option: str | None) -> str | None:
    """Return the URL given by --database, else SWEEPER_DATABASE_URL, else `sweeper.toml`.

    None means the embedded server. Raises ConfigError for a URL that is not PostgreSQL's.
    """
    given = option or load_config().database
    return rendered(parse_url(given)) if given else None


def embedded_server() -> Embedded:
    """Return the embedded server of SWEEPER_HOME, running or not."""
    config = load_config()
    return Embedded(config.home, config.runtime)


def resolve_url(option: str | None) -> str:
    """Return the URL to use: the given one, else the embedded server's, started if need be."""
    return chosen_url(option) or embedded_server().ensure_running()
