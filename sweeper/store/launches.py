"""Launches in the log: who launched what, with which software, on which terms."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert

from sweeper.core.provenance import Launch
from sweeper.store.row_digests import add_digest
from sweeper.store.schema import launch


def add_launch(connection: Connection, owner: Row[Any], who: Launch) -> None:
    """Note a launch of a sweep, with the hash of the protocol that it went by.

    `owner` is a row of the table `sweep`.
    """
    provenance = {**who.provenance, "protocol_hash": owner.protocol_hash}
    values = {"who": who.who, "command": who.command, "provenance": provenance}
    added = insert(launch).values(sweep_id=owner.id, **values).returning(launch.c.id)
    add_digest(connection, "launch", connection.execute(added).scalar_one())
