"""Optuna's storage and artifacts for those who only look: the reader's role, nothing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine

from sweeper.postgres.engine import database_errors
from sweeper.postgres.read_only import reader_url

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

    from sweeper.optuna_export.artifacts import LogArtifacts


def connect_reader_storage(url: str, application_name: str) -> RDBStorage:
    """Return Optuna's storage on that database through connections that may only read.

    Raises DatabaseError where the reader's role is missing.
    """
    from optuna.storages import RDBStorage  # loads optuna

    reading = reader_url(url, application_name)
    with database_errors(url):
        return RDBStorage(
            reading,
            engine_kwargs={"pool_pre_ping": True},
            skip_compatibility_check=True,
            skip_table_creation=True,
        )


def connect_reader_artifacts(url: str, application_name: str) -> LogArtifacts:
    """Return the trials' pictures in that database, on connections that may only read.

    Raises DatabaseError where the reader's role is missing.
    """
    from sweeper.optuna_export.artifacts import LogArtifacts  # loads optuna

    return LogArtifacts(create_engine(reader_url(url, application_name), pool_pre_ping=True))
