"""Methods at equal cost: what is cut, what is trained for it, and what is read from it."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import Engine, text

from sweeper.audit import run_audit
from sweeper.axes import StepCosts, declare_axes, find_axes
from sweeper.comparison.axes import cut_searches
from sweeper.comparison.comparison import compare_sweep
from sweeper.comparison.evidence import read_evidence
from sweeper.errors import PlanError
from sweeper.queries import run_query
from sweeper.store.overview import read_overviews
from tests.sweeper.confirmed import confirm, finish_child
from tests.sweeper.synthetic import BEST, DIVERGED, PRUNED, copy_search, fill, miou_of

SEEDS = {
    "baseline": [40.0, 40.2, 40.4, 40.2],
    "kd": [42.0, 42.3, 42.3],
    "rdd": [41.0, 41.5, 41.0],
}
COSTS = StepCosts(device="a device", seconds={"baseline": 1.0, "kd": 2.0, "rdd": 8.0})


@pytest.fixture
def confirmed(engine: Engine) -> Engine:
    fill(engine)
    confirm(engine, SEEDS)
    return engine


def trained(engine: Engine, costs: StepCosts = COSTS) -> None:
    evidence = read_evidence(engine, "demo")
    rows = declare_axes(engine, "demo", costs, cut_searches(evidence, costs.seconds))
    longer = {"training-1.5x": 1.0, "training-2x": 1.5}
    for row in rows:
        gain = longer.get(row.axis, -1.0)
        finish_child(engine, row, {m: [v + gain for v in SEEDS[m][:3]] for m in SEEDS})


def test_searches_of_equal_cost_are_cut_at_their_end(confirmed: Engine) -> None:
    cuts = cut_searches(read_evidence(confirmed, "demo"), dict.fromkeys(SEEDS, 1.0))
    assert {name: cut.number for name, cut in cuts.chosen.items()} == dict.fromkeys(SEEDS, BEST)


def test_a_dearer_search_is_cut_where_its_steps_are_paid_for(confirmed: Engine) -> None:
    """In the first bracket the first rung comes first, then what goes on, by number."""
    cuts = cut_searches(read_evidence(confirmed, "demo"), COSTS.seconds)
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
    best = max(paid, key=lambda n: miou_of("kd", n, 80))
    assert (cuts.chosen["kd"].number, cuts.chosen["kd"].seconds) == (best, ended[best])


LATE = """UPDATE sweeper.trial t SET value = 99 FROM sweeper.study y
          WHERE y.id = t.study_id AND y.method = 'kd' AND t.number = 7"""


def test_only_what_is_not_confirmed_yet_is_trained(engine: Engine) -> None:
    """The best of kd comes so late that the cut finds another."""
    fill(engine)
    with engine.begin() as connection:
        connection.execute(text(LATE))
    confirm(engine, SEEDS)
    trained(engine)
    runs = run_query(engine, "axes", "demo")
    longer = {(f"training-{n}x", m): 3 for n in ("1.5", "2") for m in ("baseline", "kd")}
    assert runs.groupby(["axis", "method"]).size().to_dict() == longer | {("tuning", "kd"): 3}
    stage = run_query(engine, "confirmations", "demo")
    assert set(runs["seed"]) == set(stage[stage["method"] == "kd"]["seed"])
    found = compare_sweep(engine, "demo").tuning_matched.set_index("method").loc["kd"]
    assert (found["trials"], found["n"]) == ([BEST], 3)
    assert found["mean"] == pytest.approx(found["mean_equal_trials"] - 1.0)
    with engine.connect() as connection:
        rows = find_axes(connection, "demo")
        assert not any(each.warnings for each in read_overviews(connection))
    assert [row.protocol["task"]["schedule"]["steps"] for row in rows] == [80, 120, 160]


def test_a_second_declaration_is_the_first(confirmed: Engine) -> None:
    trained(confirmed)
    evidence = read_evidence(confirmed, "demo")
    other = StepCosts(device="another", seconds=dict.fromkeys(SEEDS, 1.0))
    declare_axes(confirmed, "demo", other, cut_searches(evidence, other.seconds))
    assert read_evidence(confirmed, "demo").axes["tuning"].terms["costs"]["device"] == "a device"


def test_without_a_confirmation_there_is_nothing_to_stand_beside(engine: Engine) -> None:
    fill(engine)
    with engine.connect() as connection, pytest.raises(PlanError, match="no confirmation yet"):
        find_axes(connection, "demo")


def test_each_method_stands_beside_rivals_trained_for_as_much(confirmed: Engine) -> None:
    """The baseline's means are 40.2, 41.2, 41.7; kd's 42.2, 43.2, 43.7, from a cost of 1.2 on."""
    seconds = {"baseline": 1.0, "kd": 1.2, "rdd": 1.8}
    trained(confirmed, StepCosts(device="a device", seconds=seconds))
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
    trained(engine, StepCosts(device="a device", seconds={"baseline": 1.0, "kd": 1.0}))
    comparison = compare_sweep(engine, "demo")
    found = comparison.tuning_matched.set_index("method")
    assert found["n"].to_dict() == {"baseline": 6, "kd": 2}
    assert found["trials"].map(len).to_dict() == {"baseline": 6, "kd": 2}
    assert found.loc["kd", "difference"] == pytest.approx(42.75 - 41.25)
    assert comparison.training_points["n"].tolist() == [6, 6, 6, 2, 2, 2]


def test_the_ledger_says_that_the_reported_split_was_read_for_them(confirmed: Engine) -> None:
    trained(confirmed)
    evidence = read_evidence(confirmed, "demo")
    number = (evidence.axis_runs["state"] == "COMPLETE").sum()
    findings = {finding.rule.name: finding for finding in run_audit(evidence).findings}
    assert any(f"beside them {number} runs" in each.evidence for each in findings.values())
    assert len(compare_sweep(confirmed, "demo").evidence.readings) == len(evidence.confirmations)


def test_the_verdicts_do_not_know_of_them(confirmed: Engine) -> None:
    before = compare_sweep(confirmed, "demo").verdicts.drop(columns=["seconds", "basis"])
    trained(confirmed)
    after = compare_sweep(confirmed, "demo").verdicts.drop(columns=["seconds", "basis"])
    assert before.equals(after)
