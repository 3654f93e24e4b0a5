"""Every column of every table, changed by SQL: the audit fails, or no verdict has moved.

The columns are those of the schema, so that a new one is tested as soon as it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Engine,
    Integer,
    LargeBinary,
    Text,
    create_engine,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DataError, IntegrityError, InternalError
from sqlalchemy.pool import StaticPool

from sweeper.audit.finding import State
from sweeper.audit.run import run_audit
from sweeper.cli.renderings import document, verdict_sheet
from sweeper.comparison.comparison import Comparison
from sweeper.comparison.evidence import read_evidence
from sweeper.core.errors import SweeperError
from sweeper.postgres.embedded import Embedded
from sweeper.store.columns import metadata
from sweeper.store.database import connect_engine, open_store
from tests.servers import new_database
from tests.sweeper.driven import NAME, search_and_confirm

# Numbers within JSON, one after another, are changed by a tenth; words get another letter.
CHANGED_JSON = """
CREATE FUNCTION pg_temp.changed(value jsonb) RETURNS jsonb LANGUAGE sql AS $$
SELECT CASE jsonb_typeof(value)
    WHEN 'number' THEN to_jsonb((value #>> '{}')::numeric * 1.1 + 1)
    WHEN 'string' THEN to_jsonb((value #>> '{}') || 'x')
    WHEN 'boolean' THEN to_jsonb(NOT (value #>> '{}')::boolean)
    WHEN 'array' THEN coalesce(
        (SELECT jsonb_agg(pg_temp.changed(e)) FROM jsonb_array_elements(value) e), '[1]')
    WHEN 'object' THEN coalesce(
        (SELECT jsonb_object_agg(k, pg_temp.changed(v)) FROM jsonb_each(value) x(k, v)), '{"a": 1}')
    ELSE '1' END $$
"""
CHANGES: dict[type, tuple[str, ...]] = {  # of a type, as expressions of the column {c}
    Integer: ("{c} + 1", "coalesce({c}, 0) + 1", "0"),
    BigInteger: ("{c} + 1", "greatest({c} - 1, 0)", "coalesce({c}, 0) + 3"),
    Double: ("{c} + 10", "{c} * 0.9", "coalesce({c}, 40)"),
    Boolean: ("NOT {c}",),
    DateTime: ("{c} + interval '1 day'", "{c} - interval '400 days'", "now()"),
    LargeBinary: (
        "set_byte({c}, length({c}) / 2, (get_byte({c}, length({c}) / 2) + 1) % 256)",
        "substring({c} FOR length({c}) / 2)",
        "(SELECT max({c}) FROM sweeper.{t})",
    ),
    Text: (
        "{c} || 'x'",
        "(SELECT max({c}) FROM sweeper.{t})",
        "(SELECT min({c}) FROM sweeper.{t})",
        "coalesce({c}, 'x')",
    ),
    JSONB: ("pg_temp.changed({c})", "(SELECT {c} FROM sweeper.{t} ORDER BY {c} LIMIT 1)"),
}
ROWS = ("true", "ctid = (SELECT max(ctid) FROM sweeper.{t})")  # all rows, or the last
NOTICED, UNMOVED, REFUSED = "fails", "same", "refused"  # audit, verdicts, database
LINES = (Path(__file__).parent / "every_column.txt").read_text().splitlines()
TABLE = dict(re.split(r" {2,}", line) for line in LINES)  # column -> what happens


def columns() -> list[Any]:
    return [column for table in metadata.sorted_tables for column in table.columns]


def changes(column: Column[Any]) -> Iterator[str]:
    """Yield statements that change a column, in all rows or in the last."""
    kind = next(kind for kind in CHANGES if isinstance(column.type, kind))
    table = column.table.name
    for expression in CHANGES[kind]:
        for where in ROWS:
            changed = expression.format(c=f'"{column.name}"', t=table)
            yield (
                f'UPDATE sweeper.{table} SET "{column.name}" = {changed} '
                f"WHERE {where.format(t=table)}"
            )


@pytest.fixture(scope="module")
def driven(
    embedded: Embedded, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """An engine of one connection, which leaves it to its user where a transaction ends."""
    with new_database(embedded, f"TEMPLATE {template}") as url:
        store = open_store(url, "test")
        search_and_confirm(store, tmp_path_factory.mktemp("driven"))
        store.close()
        engine = create_engine(
            connect_engine(url, "test").url, poolclass=StaticPool, isolation_level="AUTOCOMMIT"
        )
        yield engine
        engine.dispose()


def verdicts(engine: Engine) -> str | None:
    """Return what `sweeper compare --format csv` prints; None where it refuses."""
    try:
        evidence = read_evidence(engine, NAME)
        audit = run_audit(evidence)
        if audit.is_void:
            return None
        return document(verdict_sheet(Comparison(evidence), audit.stamps), "csv")
    except SweeperError:
        return None


def test_the_sweep_is_sound(driven: Engine) -> None:
    audit = run_audit(read_evidence(driven, NAME), replay=True)
    sound = (State.HOLDS, State.WARNING)
    assert {f.rule.name: f.evidence for f in audit.findings if f.state not in sound} == {}


def test_the_table_has_every_column() -> None:
    assert list(TABLE) == [str(column) for column in columns()]


@pytest.mark.parametrize("column", columns(), ids=str)
def test_a_changed_column_is_noticed_or_moves_no_verdict(
    column: Column[Any], driven: Engine
) -> None:
    sound = verdicts(driven)
    outcomes = {outcome(driven, statement, sound) for statement in changes(column)}
    assert TABLE.get(str(column), "") == ", ".join(sorted(outcomes)), "see every_column.txt"


def outcome(engine: Engine, statement: str, sound: str | None) -> str:
    """Return what became of one change; it is taken back."""
    with engine.connect() as connection:
        connection.execute(text("BEGIN"))
        try:
            connection.execute(text(CHANGED_JSON.replace(":", "\\:")))
            try:
                connection.execute(text(statement))
            except (IntegrityError, DataError):
                return REFUSED
            found = verdicts(engine)
        except InternalError:  # what refuses cannot ask more in a transaction that has failed
            return NOTICED
        finally:
            connection.execute(text("ROLLBACK"))
    assert found in (None, sound), statement
    return NOTICED if found is None else UNMOVED
