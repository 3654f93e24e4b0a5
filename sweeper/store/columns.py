"""The schema's name, its naming of constraints, and columns of which there are many."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Double, MetaData, func

SCHEMA = "sweeper"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def now(name: str, comment: str) -> Column[object]:
    """Return a column with the time of its row's insertion."""
    return Column(
        name, DateTime(timezone=True), nullable=False, server_default=func.now(), comment=comment
    )


def later(name: str, comment: str) -> Column[object]:
    """Return a column with a time that comes later, null until then."""
    return Column(name, DateTime(timezone=True), comment=comment)


def count(name: str, comment: str) -> Column[int]:
    """Return a column that counts from 0."""
    return Column(name, BigInteger, nullable=False, server_default="0", comment=comment)


def seconds(name: str, comment: str) -> Column[float]:
    """Return a column of seconds that add up from 0."""
    return Column(name, Double, nullable=False, server_default="0", comment=comment)
