"""What a relaunch may not change, and what repeats are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sweeper.core.errors import PlanError, ProtocolMismatch
from sweeper.scheduler.declaration import declare
from sweeper.store.database import Store
from tests.sweeper.driving import (
    WHO,
    declaration_of,
    rows,
)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": 1}, "seed: was 0, now 1"),
        ({"pruning": False}, "plan.keep: was [8, 3], now [8, 8]"),
    ],
)
def test_a_relaunch_with_another_protocol_is_refused_field_by_field(
    store: Store, change: dict[str, Any], field: str
) -> None:
    declare(store.engine, declaration_of(), WHO)
    with pytest.raises(ProtocolMismatch) as refusal:
        declare(store.engine, declaration_of(**change), WHO)
    assert field in str(refusal.value)


def test_a_relaunch_with_another_code_of_a_method_is_refused(store: Store) -> None:
    given = declaration_of()
    declare(store.engine, given, WHO)
    changed = [replace(method, code_hash="other") for method in given.methods]
    with pytest.raises(ProtocolMismatch, match="code: was 'code of baseline', now 'other'"):
        declare(store.engine, replace(given, methods=changed), WHO)


def test_a_method_judged_before_its_last_stage_is_refused(store: Store) -> None:
    given = declaration_of()
    late = [replace(method, last_switch=0.5) for method in given.methods]
    with pytest.raises(PlanError, match="step 40, after the first rung at step 26"):
        declare(store.engine, replace(given, methods=late), WHO)


def test_repeats_are_independent_searches_and_the_baseline_has_three_times_as_many(
    store: Store,
) -> None:
    declare(store.engine, declaration_of(budget=8, repeats=2), WHO)
    counts = rows(store.engine, "SELECT method, count(*) FROM sweeper.study GROUP BY 1 ORDER BY 1")
    assert counts == [("baseline", 6), ("kd", 2)]
