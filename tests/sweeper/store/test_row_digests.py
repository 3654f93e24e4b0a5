"""Digests tell of whatever was changed, taken away or added after it was recorded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text

from sweeper.postgres.embedded import Embedded
from sweeper.store.database import connect_engine
from sweeper.store.row_digests import DIGEST, ROWS, add_digest, broken_digests
from tests.servers import new_database
from tests.sweeper.confirmed import confirm
from tests.sweeper.synthetic import fill

LEFT_OUT = [  # what may change once a row is complete
    "UPDATE sweeper.trial SET wasted_steps = 7, checkpoint = '/elsewhere'",
    "UPDATE sweeper.trial SET projected_revision = 9",
    "UPDATE sweeper.segment SET folder = '/elsewhere'",
    "UPDATE sweeper.study SET state = 'cancelled', reason = 'by me', budget = 99",
    "UPDATE sweeper.artifact SET path = '/elsewhere'",
]


@pytest.fixture(scope="module")
def confirmed(embedded: Embedded, template: str) -> Iterator[Engine]:
    """An engine on a store with the sweep `demo`, searched and confirmed."""
    with new_database(embedded, f"TEMPLATE {template}") as url:
        engine = connect_engine(url, "test")
        fill(engine)
        confirm(engine, {"baseline": [41.0, 41.5], "kd": [43.0, 42.0]})
        yield engine
        engine.dispose()


@pytest.fixture
def connection(confirmed: Engine) -> Iterator[Connection]:
    """A transaction on it, which is taken back."""
    with confirmed.connect() as connection:
        yield connection


def broken(connection: Connection) -> list[tuple[str, str, bool, bool]]:
    return [tuple(row) for row in broken_digests(connection, 1)]


def test_what_is_as_it_was_recorded_breaks_nothing(connection: Connection) -> None:
    assert broken(connection) == []
    for statement in LEFT_OUT:
        connection.execute(text(statement))
    assert broken(connection) == []


@pytest.mark.parametrize(
    ("what", "statement"),
    [
        ("sweep", "UPDATE sweeper.sweep SET seed = 8 WHERE id = 1"),
        ("teacher", "UPDATE sweeper.artifact SET origin = '/x.pt'"),
        ("launch", "UPDATE sweeper.launch SET who = 'nobody'"),
        ("study", "UPDATE sweeper.study SET code_hash = 'x' WHERE id = 2"),
        ("calibration", "UPDATE sweeper.study SET calibration = '{\"equal\"\\: 3}' WHERE id = 2"),
        ("trial", "UPDATE sweeper.trial SET score = 99 WHERE study_id = 2 AND number = 3"),
        ("segment", "UPDATE sweeper.rung SET score = 99 WHERE study_id = 2 AND number = 3"),
        ("segment", "UPDATE sweeper.confusion SET content = 'x'"),
    ],
)
def test_a_changed_row_is_named(connection: Connection, what: str, statement: str) -> None:
    connection.execute(text(statement))
    found = broken(connection)
    assert found
    assert {(kind, gone, new) for kind, _, gone, new in found} == {(what, False, False)}


def test_every_kind_of_row_is_recorded_here(connection: Connection) -> None:
    kinds = text("SELECT DISTINCT detail ->> 'what' FROM sweeper.event WHERE kind = :kind")
    assert set(connection.scalars(kinds, {"kind": DIGEST})) == set(ROWS)


def test_a_row_that_is_gone_and_one_that_is_new_are_told_apart(connection: Connection) -> None:
    copied = "(jsonb_populate_record(t, '{\"number\"\\: 77}')).*"
    connection.execute(
        text(
            f"INSERT INTO sweeper.trial SELECT {copied} FROM sweeper.trial t "
            "WHERE study_id = 2 AND number = 8"
        )
    )
    connection.execute(text("DELETE FROM sweeper.trial WHERE study_id = 2 AND number = 9"))
    trials = [row for row in broken(connection) if row[0] == "trial"]
    assert trials == [("trial", "2/77", False, True), ("trial", "2/9", True, False)]


def test_of_what_is_not_complete_nothing_is_recorded(connection: Connection) -> None:
    running = "UPDATE sweeper.trial SET state = 'RUNNING' WHERE study_id = 2 AND number = 9"
    connection.execute(text(running))
    connection.execute(text("DELETE FROM sweeper.event WHERE detail ->> 'key' = '2/9'"))
    add_digest(connection, "trial", 2, 9)
    assert broken(connection) == []
    connection.execute(text(running.replace("RUNNING", "FAIL")))
    assert broken(connection) == [("trial", "2/9", False, True)]
    add_digest(connection, "trial", 2, 9)
    assert broken(connection) == []
