"""What a confirmation is made of, how it is frozen, and that it is read as declared."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from sweeper.comparison.evidence import read_evidence
from sweeper.confirmation.stage import Confirmation, Reported, declare_stage
from sweeper.core.errors import PlanError, ProtocolMismatch, SweeperError
from sweeper.optuna_export.projection import Projection
from sweeper.scheduler.driver_config import DriverConfig
from sweeper.scheduler.lease import Lease, acquire
from sweeper.scheduler.progress import read_progress
from sweeper.scheduler.state_machine import Sweep
from sweeper.search.protocol import plan_of
from sweeper.store.database import Store
from sweeper.store.named_queries import run_query
from tests.sweeper.confirmation.declaring import WHO, declare, sql
from tests.sweeper.confirmed import confirm
from tests.sweeper.driving import run_sweep
from tests.sweeper.fakes import FakeTrainer
from tests.sweeper.synthetic import BEST, params_of
from trainers.training.segment import Ending, Member

VALUES = {"baseline": [41.0, 41.5, 42.0], "kd": [43.0, 42.5], "rdd": [42.0, 41.0]}


def test_published_values_and_the_best_trial_are_trained_with_seeds_that_all_methods_share(
    searched: Store,
) -> None:
    declare(searched, seeds=2, baseline_seeds=3)
    rows = run_query(searched.engine, "confirmations", "demo")
    counts = rows.groupby(["method", "configuration"]).size().to_dict()
    assert counts == {
        **{("baseline", each): 3 for each in ("published", "tuned")},
        **{(method, each): 2 for method in ("kd", "rdd") for each in ("published", "tuned")},
    }
    seeds = {method: list(dict.fromkeys(part["seed"])) for method, part in rows.groupby("method")}
    assert seeds["kd"] == seeds["rdd"] == seeds["baseline"][:2]
    tuned = rows[(rows["method"] == "kd") & (rows["configuration"] == "tuned")].iloc[0]
    assert tuned["params.learning_rate"] == params_of("kd", BEST)["learning_rate"]


def test_a_search_won_by_the_published_values_is_trained_once_for_both(searched: Store) -> None:
    with searched.engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.trial SET score = 99 WHERE number = 0"))
    declare(searched, seeds=2, baseline_seeds=2)
    rows = run_query(searched.engine, "confirmations", "demo")
    assert set(rows["configuration"]) == {"published"}
    assert set(read_evidence(searched.engine, "demo").stages[0].incumbents.values()) == {0}


def test_a_second_declaration_goes_on_with_the_first(searched: Store) -> None:
    first = declare(searched, seeds=4, methods=("kd",))
    for same in ({}, {"seeds": 4}, {"methods": ("kd",)}, {"methods": ("kd", "baseline")}):
        assert declare(searched, **same).id == first.id  # type: ignore[attr-defined]
    with pytest.raises(ProtocolMismatch, match="seeds: was 4, now 5"):
        declare(searched, seeds=5)
    with pytest.raises(ProtocolMismatch, match="methods: was"):
        declare(searched, methods=("rdd",))


def test_a_second_stage_has_fresh_seeds_and_there_is_no_third(searched: Store) -> None:
    confirm(searched.engine, VALUES)
    confirm(searched.engine, VALUES, more=True)
    seeds = [set(part["seed"]) for _, part in confirmations(searched).groupby("stage")]
    assert [len(each) for each in seeds] == [3, 3]
    assert not seeds[0] & seeds[1]
    with pytest.raises(PlanError, match="has its 2 confirmations"):
        declare(searched, more=True)


def confirmations(store: Store):  # type: ignore[no-untyped-def]
    return read_evidence(store.engine, "demo").confirmations


def test_other_data_are_refused(searched: Store) -> None:
    other = Reported(fingerprint="other", blocks=("a",), classes=("road",))
    with pytest.raises(ProtocolMismatch, match="searched with"):
        declare_stage(searched.engine, Confirmation(sweep="demo"), other, WHO)


def test_stages_are_no_sweeps_to_choose_from_and_show_nothing_to_optuna(searched: Store) -> None:
    confirm(searched.engine, VALUES)
    for name in ("trials", "curves", "leaderboard"):
        assert set(run_query(searched.engine, name)["sweep"]) == {"demo"}
    with pytest.raises(SweeperError, match="demo:confirm-1"):
        run_query(searched.engine, "trials", "demo:confirm-2")


def test_what_was_blocked_goes_on_with_the_same_command(searched: Store) -> None:
    stage = declare(searched)
    blocked = f"UPDATE sweeper.study SET state = 'blocked' WHERE sweep_id = {stage.id}"  # type: ignore[attr-defined]
    sql(searched, blocked)
    declare(searched)
    states = read_progress(searched.engine, stage.id, plan_of(stage.protocol)).studies  # type: ignore[attr-defined]
    assert {study.state for study in states} == {"active"}


@pytest.mark.parametrize("terms", [{"delta": 0.1}, {"stages": 2}, {"paired": True}, {"budget": 8}])
def test_a_second_stage_changes_nothing_but_seeds(
    searched: Store, terms: dict[str, object]
) -> None:
    confirm(searched.engine, VALUES)
    with pytest.raises(PlanError, match="are the first confirmation's and stay"):
        declare(searched, more=True, **terms)


def test_a_confirmation_whose_checkpoint_is_damaged_begins_again(
    searched: Store, tmp_path: Path
) -> None:
    row = declare(searched, seeds=2, baseline_seeds=2)
    lease = acquire(searched.engine, row.id)
    assert isinstance(lease, Lease)
    place = DriverConfig(checkpoints=tmp_path, teacher=Path("teacher.pt"))
    projection = Projection(searched.engine, searched.storage)
    sweep = Sweep(searched.engine, row, lease, place, projection)
    found: set[str] = set()

    def once(member: Member) -> Ending | None:
        if member.checkpoint is None or member.key in found:
            return None
        found.add(member.key)
        return Ending.DAMAGED

    cut = FakeTrainer(fault=once, cut=lambda segment: segment.start + 40)
    assert run_sweep(sweep, cut)
    progress = read_progress(searched.engine, sweep.id, plan_of(row.protocol))
    assert progress.is_done
    assert {study.state for study in progress.studies} == {"active"}
    rows = run_query(searched.engine, "confirmations", "demo")
    assert (set(rows["state"]), set(rows["trained_steps"])) == ({"COMPLETE"}, {80})
    assert set(rows["wasted_steps"]) == {40}
    assert len(found) == len(rows)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"more": True}, "has no confirmation yet"),
        ({"delta": float("nan")}, "--delta nan: give the gain"),
        ({"delta": -1.0}, "--delta -1: give the gain"),
    ],
)
def test_terms_that_cannot_be_are_refused_before_anything_is_declared(
    searched: Store, wanted: dict[str, object], said: str
) -> None:
    with pytest.raises(PlanError, match=said):
        declare(searched, **wanted)
    assert not read_evidence(searched.engine, "demo").stages
