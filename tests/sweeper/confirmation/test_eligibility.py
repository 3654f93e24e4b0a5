"""Which searches can be confirmed together, and which of their trials."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from sweeper.comparison.evidence import read_evidence
from sweeper.confirmation.stage import Confirmation, declare_stage
from sweeper.core.errors import PlanError, ProtocolMismatch, SweeperError
from sweeper.store.database import Store
from sweeper.store.named_queries import run_query
from tests.sweeper.confirmation.declaring import DATA, WHO, declare, sql
from tests.sweeper.synthetic import BEST, fill, leave_in_flight


def test_a_smaller_budget_takes_the_best_of_the_first_brackets(searched: Store) -> None:
    with searched.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.trial SET score = 99 WHERE number = 10"))
    declare(searched, budget=8)
    assert set(read_evidence(searched.engine, "demo").stages[0].incumbents.values()) == {BEST}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"methods": ("kdd",)}, "no method 'kdd' in sweep demo; did you mean 'kd'"),
        ({"budget": 12}, "must be a positive multiple"),
        ({"budget": 24}, "is not finished: baseline 16 of 24, kd 16 of 24"),
        ({"methods": ("baseline",)}, "no method beside the baseline"),
    ],
)
def test_what_cannot_be_confirmed_is_refused(
    searched: Store, wanted: dict[str, object], said: str
) -> None:
    with pytest.raises(PlanError, match=said):
        declare(searched, **wanted)
    assert run_query(searched.engine, "confirmations", "demo").empty


def test_an_unfinished_search_is_refused_with_how_far_it_is(searched: Store) -> None:
    leave_in_flight(searched.engine, 2)
    with pytest.raises(PlanError, match="kd 15 of 16 trials are decided"):
        declare(searched)


def test_a_sweep_without_a_baseline_is_refused(store: Store) -> None:
    fill(store.engine, methods=("kd",))
    with pytest.raises(PlanError, match="no baseline that was searched to its end, so no gain"):
        declare(store)


def test_a_method_none_of_whose_trials_came_to_the_end_is_named(searched: Store) -> None:
    with searched.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.trial SET state = 'PRUNED' WHERE study_id = 2"))
    with pytest.raises(SweeperError, match="kd has no trial that came to its end within 16"):
        declare(searched)


@pytest.mark.parametrize(
    ("before", "wanted", "said"),
    [
        ("UPDATE sweeper.study SET budget = 8 WHERE method = 'kd'", {}, "unequal budgets .*kd 8"),
        ("UPDATE sweeper.study SET state = 'cancelled' WHERE id = 1", {}, "no baseline that was"),
        (
            "UPDATE sweeper.study SET state = 'failed' WHERE id = 2",
            {"methods": ("kd",)},
            "kd: failed or cancelled",
        ),
        ("UPDATE sweeper.study SET repeat = 2 WHERE method = 'kd'", {}, "equal treatment needs"),
    ],
)
def test_what_would_be_no_fair_comparison_is_refused_before_it_is_declared(
    searched: Store, before: str, wanted: dict[str, object], said: str
) -> None:
    sql(searched, before)
    with pytest.raises(PlanError, match=said):
        declare(searched, **wanted)
    assert not read_evidence(searched.engine, "demo").stages


def test_a_method_that_failed_is_left_out_where_all_are_meant(searched: Store) -> None:
    sql(searched, "UPDATE sweeper.study SET state = 'failed' WHERE method = 'rdd'")
    declare(searched)
    assert read_evidence(searched.engine, "demo").stages[0].methods == ("baseline", "kd")


def test_other_code_than_searched_with_is_refused(searched: Store) -> None:
    with pytest.raises(ProtocolMismatch, match="baseline, kd, rdd: the code here"):
        declare_stage(searched.engine, Confirmation(sweep="demo"), DATA, WHO, lambda _: "other")
