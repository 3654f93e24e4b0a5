"""A sweep that Optuna's tables show."""

from __future__ import annotations

import pytest

from sweeper.optuna_export.projection import Projection
from sweeper.store.database import Store
from sweeper.store.segments import add_results
from tests.sweeper.fakes import PICTURE
from tests.sweeper.synthetic import BEST, fill
from trainers.training.segment import Ending, MemberOutcome


@pytest.fixture
def sweep_id(store: Store) -> int:
    """The id of a projected sweep of baseline and kd; the best trial of kd has a picture."""
    identifier = fill(store.engine, methods=("baseline", "kd"))
    with store.engine.begin() as connection:
        outcome = MemberOutcome(
            key="kd", ending=Ending.REACHED, step=80, seconds=1.0, picture=PICTURE
        )
        add_results(connection, (2, BEST), outcome)
    Projection(store.engine, store.storage).update(identifier)
    return identifier
