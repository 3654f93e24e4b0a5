"""Everything that the log knows of one trial, searched or confirmed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from sweeper.core.errors import SweeperError
from sweeper.core.names import parse_reference
from sweeper.search.seeds import training_seed
from sweeper.store.database import Store
from sweeper.store.named_queries import run_query
from sweeper.store.trial_details import TrialDetails, read_trial_details
from tests.sweeper.confirmed import confirm
from tests.sweeper.recorded import DEVICE, TEACHER
from tests.sweeper.synthetic import SEED, params_of, score_of, space_of

VALUES = {"baseline": [41.0, 41.5], "kd": [43.0, 42.5]}


def details_of(connection: Connection, name: str) -> TrialDetails:
    return read_trial_details(connection, parse_reference(name))


def test_a_trial_has_its_values_and_what_they_were_made_of(
    connection: Connection,
) -> None:
    found = details_of(connection, "demo/kd#3")
    assert (found.state, found.score) == ("COMPLETE", score_of("kd", 3, 80))
    assert (found.params, found.published) == (params_of("kd", 3), space_of("kd").published)
    assert [(rung.index, rung.step) for rung in found.rungs] == [(0, 26), (1, 80)]
    assert found.rungs[1].class_iou[1] is None  # a class that the split lacks
    assert found.weights_hash == found.rungs[1].weights_hash
    assert (found.seed, found.teacher) == (training_seed(SEED, 1), TEACHER["path"])


def test_its_segments_follow_one_another_and_name_their_logs(connection: Connection) -> None:
    first, second = details_of(connection, "demo/kd#3").stretches
    assert (first.start_step, first.reached_step) == (0, 26)
    assert (second.start_step, second.reached_step) == (26, 80)
    assert {first.device, second.device} == {DEVICE}
    assert first.log == Path(f"/checkpoints/demo/logs/segment-{first.segment}.jsonl")


def test_losses_of_a_segment_that_was_lost_do_not_count(connection: Connection) -> None:
    before = details_of(connection, "demo/kd#3")
    assert [step for step, _ in before.losses] == [*range(5, 26, 5), *range(31, 81, 5)]
    lost = "UPDATE sweeper.segment_member SET ending = 'lost' WHERE segment_id = :segment"
    connection.execute(text(lost), {"segment": before.stretches[1].segment})
    assert [step for step, _ in details_of(connection, "demo/kd#3").losses] == [*range(5, 26, 5)]


def test_a_trial_that_never_was_evaluated_has_no_weights(connection: Connection) -> None:
    found = details_of(connection, "demo/kd#9")
    assert (found.rungs, found.weights_hash, found.state) == ((), None, "FAIL")


@pytest.mark.parametrize("name", ["demo/kd#16", "demo/kf#1", "dmo/kd#1"])
def test_what_is_not_there_is_refused(connection: Connection, name: str) -> None:
    with pytest.raises(SweeperError):
        details_of(connection, name)


def test_a_confirmation_is_shown_with_its_own_seed(searched: Store) -> None:
    confirm(searched.engine, VALUES)
    runs = run_query(searched.engine, "confirmations", "demo")
    [seed] = runs[(runs["method"] == "kd") & (runs["number"] == 1)]["seed"]
    with searched.engine.connect() as connection:
        assert details_of(connection, "demo:confirm-1/kd#1").seed == seed
