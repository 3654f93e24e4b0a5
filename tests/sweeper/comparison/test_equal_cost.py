"""Methods at equal cost: what is cut, what is trained for it, and what is read from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from sqlalchemy import Engine, text

from sweeper.audit.run import run_audit
from sweeper.cli.show_trial import repeat_command
from sweeper.comparison.comparison import compare_sweep
from sweeper.comparison.equal_cost import cut_searches
from sweeper.comparison.evidence import read_evidence
from sweeper.confirmation.equal_cost import check_code, find_equal_cost
from sweeper.confirmation.stage import Confirmation, find_stage
from sweeper.core.errors import PlanError, ProtocolMismatch
from sweeper.core.names import parse_reference
from sweeper.scheduler.progress import read_overviews
from sweeper.store.named_queries import run_query
from sweeper.store.trial_details import read_trial_details
from tests.sweeper.confirmed import confirm, declare_axes_of, train_axes
from tests.sweeper.synthetic import BEST, DIVERGED, PRUNED, copy_search, fill, score_of

SEEDS = {
    "baseline": [40.0, 40.2, 40.4, 40.2],
    "kd": [42.0, 42.3, 42.3],
    "rdd": [41.0, 41.5, 41.0],
}
SECONDS = {"baseline": 1.0, "kd": 2.0, "rdd": 8.0}
OF_2X = """study_id = (SELECT y.id FROM sweeper.study y JOIN sweeper.sweep s ON s.id = y.sweep_id
           WHERE s.equal_cost = 'training-2x' AND y.method = 'baseline') AND number > 0"""
GAINS = {"tuning": -1.0, "training-1.5x": 1.0, "training-2x": 1.5}


@pytest.fixture
def confirmed(engine: Engine) -> Engine:
    fill(engine)
    confirm(engine, SEEDS)
    return engine


def trained(engine: Engine, seconds: Mapping[str, float] = SECONDS) -> None:
    train_axes(engine, {m: SEEDS[m][:3] for m in SEEDS}, seconds, GAINS)


def test_searches_of_equal_cost_are_cut_at_their_end(confirmed: Engine) -> None:
    cuts = cut_searches(read_evidence(confirmed, "demo"), dict.fromkeys(SEEDS, 1.0))
    assert {name: cut.number for name, cut in cuts.chosen.items()} == dict.fromkeys(SEEDS, BEST)


def test_a_dearer_search_is_cut_where_its_steps_are_paid_for(confirmed: Engine) -> None:
    """In the first bracket the first rung comes first, then what goes on, by number."""
    cuts = cut_searches(read_evidence(confirmed, "demo"), SECONDS)
    numbers = range(16)
    own = {n: 35 if n in DIVERGED else 26 if n in PRUNED else 11 if n == 9 else 80 for n in numbers}
    assert cuts.common == sum(own.values())
    assert "rdd" not in cuts.chosen  # the first rung alone costs 8 * 26 * 8 s
    ended = {}
    spent = sum(min(own[n], 26) for n in range(8)) * 2.0
    for number in range(8):
        spent += max(own[number] - 26, 0) * 2.0
        ended[number] = spent
    paid = [n for n in range(8) if n not in DIVERGED and ended[n] <= cuts.common]
    best = max(paid, key=lambda n: score_of("kd", n, 80))
    assert (cuts.chosen["kd"].number, cuts.chosen["kd"].seconds) == (best, ended[best])


LATE = """UPDATE sweeper.trial t SET score = 99 FROM sweeper.study y
          WHERE y.id = t.study_id AND y.method = 'kd' AND t.number = 7"""


def test_only_what_is_not_confirmed_yet_is_trained(engine: Engine) -> None:
    """The best of kd comes so late that the cut finds another."""
    fill(engine)
    with engine.begin() as connection:
        connection.execute(text(LATE))
    confirm(engine, SEEDS)
    trained(engine)
    runs = run_query(engine, "equal_cost", "demo")
    longer = {(f"training-{n}x", m): 3 for n in ("1.5", "2") for m in ("baseline", "kd")}
    assert runs.groupby(["part", "method"]).size().to_dict() == longer | {("tuning", "kd"): 3}
    stage = run_query(engine, "confirmations", "demo")
    assert set(runs["seed"]) == set(stage[stage["method"] == "kd"]["seed"])
    found = compare_sweep(engine, "demo").tuning_matched.set_index("method").loc["kd"]
    assert (found["trials"], found["n"]) == ([BEST], 3)
    assert found["mean"] == pytest.approx(found["mean_equal_trials"] - 1.0)
    with engine.connect() as connection:
        rows = find_equal_cost(connection, "demo")
        assert not any(each.warnings for each in read_overviews(connection))
    assert [row.protocol["task"]["schedule"]["steps"] for row in rows] == [80, 120, 160]


def test_a_second_declaration_is_the_first(confirmed: Engine) -> None:
    trained(confirmed)
    declare_axes_of(confirmed, dict.fromkeys(SEEDS, 1.0))
    assert (
        read_evidence(confirmed, "demo").equal_cost["tuning"].terms["costs"]["seconds"] == SECONDS
    )


def test_without_a_confirmation_there_is_nothing_to_stand_beside(engine: Engine) -> None:
    fill(engine)
    with engine.connect() as connection, pytest.raises(PlanError, match="no confirmation yet"):
        find_equal_cost(connection, "demo")


def test_each_method_stands_beside_rivals_trained_for_as_much(confirmed: Engine) -> None:
    """The baseline's means are 40.2, 41.2, 41.7; kd's 42.2, 43.2, 43.7, from a cost of 1.2 on."""
    seconds = {"baseline": 1.0, "kd": 1.2, "rdd": 1.8}
    trained(confirmed, seconds)
    found = compare_sweep(confirmed, "demo").training_matched.set_index("method")
    assert found.loc["baseline", "baseline"] == pytest.approx(40.2)
    assert np.isnan(found.loc["baseline", "kd"])
    assert found.loc["kd", "baseline"] == pytest.approx(40.2 + 0.4)
    assert found.loc["kd", "kd_difference"] == pytest.approx(0)
    assert found.loc["rdd", "baseline"] == pytest.approx(41.2 + 0.5 * 0.3 / 0.5)
    assert found.loc["rdd", "kd"] == pytest.approx(43.2)
    assert found.loc["rdd", "kd_length"] == pytest.approx(1.5)
    assert found.loc["rdd", "difference"] == pytest.approx(41.1667 - 41.5, abs=1e-3)


def test_beyond_the_longest_training_its_value_stands(confirmed: Engine) -> None:
    trained(confirmed)
    found = compare_sweep(confirmed, "demo").training_matched.set_index("method")
    assert found.loc["rdd", "cost"] == 8.0
    assert found.loc["rdd", "baseline_length"] == 2.0
    assert found.loc["rdd", "baseline"] == pytest.approx(41.7)


def test_what_had_found_nothing_by_then_has_no_value(confirmed: Engine) -> None:
    trained(confirmed)
    comparison = compare_sweep(confirmed, "demo")
    found = comparison.tuning_matched.set_index("method")
    assert found.loc["baseline", "mean"] == pytest.approx(40.2)  # of the seeds that all have
    assert found.loc["rdd", "n"] == 0
    assert np.isnan(found.loc["rdd", "difference"])
    assert {"equal_tuning", "equal_training"} <= comparison.figures().keys()
    assert set(comparison.costs["basis"]) == {"reference"}


def test_each_of_several_searches_is_cut_and_counts_once(engine: Engine) -> None:
    fill(engine, methods=("baseline", "kd"))
    for repeat in range(2, 7):
        copy_search(engine, 1, repeat)
    copy_search(engine, 2, 2)
    confirm(engine, {"baseline": [41.0, 41.5, 42.0], "kd": [43.0, 42.5]})
    trained(engine, {"baseline": 1.0, "kd": 1.0})
    comparison = compare_sweep(engine, "demo")
    found = comparison.tuning_matched.set_index("method")
    assert found["n"].to_dict() == {"baseline": 6, "kd": 2}
    assert found["trials"].map(len).to_dict() == {"baseline": 6, "kd": 2}
    assert found.loc["kd", "difference"] == pytest.approx(42.75 - 41.25)
    assert comparison.training_points["n"].tolist() == [6, 6, 6, 2, 2, 2]


def test_the_ledger_says_that_the_reported_split_was_read_for_them(confirmed: Engine) -> None:
    trained(confirmed)
    evidence = read_evidence(confirmed, "demo")
    number = (evidence.equal_cost_runs["state"] == "COMPLETE").sum()
    findings = {finding.rule.name: finding for finding in run_audit(evidence).findings}
    assert any(f"beside them {number} runs" in each.evidence for each in findings.values())
    assert len(compare_sweep(confirmed, "demo").evidence.readings) == len(evidence.confirmations)


def change(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_a_configuration_with_a_failed_run_has_no_mean(confirmed: Engine) -> None:
    trained(confirmed)
    change(confirmed, f"UPDATE sweeper.trial SET state = 'FAIL', score = NULL WHERE {OF_2X}")
    comparison = compare_sweep(confirmed, "demo")
    found = comparison.training_points.set_index(["method", "length"])["n"]
    assert (found["baseline", 2.0], found["kd", 2.0]) == (0, 3)
    assert np.isnan(comparison.training_matched.set_index("method").loc["rdd", "baseline"])
    assert "baseline trained 2 times as long has only 0 values." in comparison.equal_cost_notes(
        "training"
    )


def test_a_step_as_quick_as_the_baselines_is_compared_with_it(engine: Engine) -> None:
    fill(engine, methods=("baseline", "rdd"))
    confirm(engine, {m: SEEDS[m] for m in ("baseline", "rdd")})
    train_axes(engine, {"baseline": SEEDS["baseline"][:3]}, {"baseline": 1.0, "rdd": 0.98})
    comparison = compare_sweep(engine, "demo")
    found = comparison.training_matched.set_index("method").loc["rdd"]
    assert found["difference"] == pytest.approx(41.1667 - 40.2, abs=1e-3)
    assert comparison.equal_cost_notes("training")[0].startswith(
        "baseline: trained 1.5 and 2 times"
    )


def test_what_is_part_of_a_confirmation_has_none_itself(confirmed: Engine) -> None:
    trained(confirmed)
    with confirmed.connect() as connection:
        for name in ("demo:confirm-1", "demo:tuning"):
            with pytest.raises(PlanError, match="name the sweep it belongs to: demo"):
                find_equal_cost(connection, name)
            with pytest.raises(PlanError, match="name the sweep it belongs to: demo"):
                find_stage(connection, Confirmation(sweep=name))


def test_other_code_than_the_searches_had_is_refused(confirmed: Engine) -> None:
    with (
        confirmed.connect() as connection,
        pytest.raises(ProtocolMismatch, match="kd: the code here is not"),
    ):
        check_code(connection, "demo", lambda method: "other" if method == "kd" else "code")


@pytest.mark.parametrize("part", ["tuning", "training-1.5x"])
def test_its_runs_are_called_and_shown_as_any_trial(confirmed: Engine, part: str) -> None:
    trained(confirmed)
    reference = parse_reference(f"demo:{part}/kd@1#2")
    assert (reference.sweep, reference.number) == (f"demo:{part}", 2)
    if part != "tuning":
        with confirmed.connect() as connection:
            details = read_trial_details(connection, reference)
        assert details.state == "COMPLETE"
        assert "--steps 120" in repeat_command(details)


def test_the_verdicts_do_not_know_of_them(confirmed: Engine) -> None:
    before = compare_sweep(confirmed, "demo").verdicts.drop(columns=["seconds", "basis"])
    trained(confirmed)
    after = compare_sweep(confirmed, "demo").verdicts.drop(columns=["seconds", "basis"])
    assert before.equals(after)
