"""Declaring a confirmation of the sweep `demo`, and changing the store by SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from sweeper.confirmation.stage import Confirmation, Reported, declare_stage
from sweeper.core.provenance import Launch
from sweeper.store.database import Store

WHO = Launch(who="somebody@somewhere", command="sweeper confirm demo", provenance={})
DATA = Reported(fingerprint="data", blocks=("a", "b"), classes=("road", "car", "sky"))


def declare(store: Store, **wanted: object) -> Any:
    return declare_stage(store.engine, Confirmation(sweep="demo", **wanted), DATA, WHO)  # type: ignore[arg-type]


def sql(store: Store, statement: str) -> None:
    with store.engine.begin() as connection:
        connection.execute(text(statement))
