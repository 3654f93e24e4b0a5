"""Figures of the searches hold the numbers of their tables, the baseline first."""

from __future__ import annotations

import pytest

from sweeper.comparison.curves import best_so_far
from sweeper.comparison.importances import importances
from sweeper.comparison.rung_check import check_rungs, summarise_rungs
from sweeper.comparison.search_figures import (
    MOST_CURVES,
    draw_curves,
    draw_importances,
    draw_rungs,
    draw_searches,
    draw_shared,
)
from sweeper.comparison.search_tables import slices
from sweeper.comparison.shared_points import shared_differences, shared_pairs
from sweeper.comparison.theme import rounded, significant
from sweeper.search.brackets import BracketPlan
from tests.sweeper.comparison.finished import PLAN, carry_out, noise

ALL = BracketPlan(bracket=16, rung_steps=(10, 90), keep=(16, 16), anchors=16)
ORDER = ("rdd", "kd", "baseline")


def test_curves_begin_with_the_baseline_and_say_who_ends_highest() -> None:
    found = carry_out(lambda method, n, _: 40.0 + n + (method == "kd"), ORDER)
    curves = best_so_far(found.trials, found.rungs, PLAN)
    drawn = draw_curves(curves[curves["axis"] == "trials"], "trials", ORDER)
    assert next(trace.name for trace in drawn.data if trace.name) == "baseline"
    assert drawn.layout.meta["summary"].endswith("kd ends highest, at 56.00.")
    assert {significant([56.0])[0]} <= {y for trace in drawn.data for y in trace.y or ()}


def test_of_very_many_methods_the_first_have_a_curve() -> None:
    names = ("baseline", *(f"m{index}" for index in range(MOST_CURVES + 5)))
    found = carry_out(noise(), names, brackets=1)
    curves = best_so_far(found.trials, found.rungs, PLAN)
    drawn = draw_curves(curves[curves["axis"] == "trials"], "trials", names)
    assert {trace.name for trace in drawn.data if trace.name} >= {"baseline", names[1]}
    assert f"of {MOST_CURVES} methods" in drawn.layout.meta["summary"]


def test_shared_points_are_ordered_by_their_mean_difference() -> None:
    gains = {"baseline": 0.0, "kd": -0.5, "rdd": 1.5}
    found = carry_out(lambda method, n, step: 40.0 + gains[method] + n + step / 10, ORDER)
    pairs = shared_pairs(found.rungs, PLAN)
    drawn = draw_shared(shared_differences(pairs, PLAN), pairs)
    assert list(drawn.layout.yaxis.categoryarray) == ["rdd", "kd"]
    [means] = [trace for trace in drawn.data if trace.name == "mean"]
    assert list(means.x) == pytest.approx([1.5, -0.5])
    assert "1 of 2 methods lie above the baseline" in drawn.layout.meta["summary"]


def test_importances_stand_in_a_row_a_method_with_its_own_hyperparameters_in_one_place() -> None:
    found = carry_out(noise(), ("kd",), plan=ALL)
    table = importances(found.trials, found.studies)
    [heat] = draw_importances(table, ORDER).data
    assert list(heat.x) == ["learning rate", "own hyperparameters"]
    assert [list(row) for row in heat.z] == [rounded(table["importance"], 2)]


def test_rungs_show_every_search_and_the_mean_over_methods() -> None:
    found = carry_out(noise(), ORDER)
    checks = check_rungs(found.trials, found.rungs, PLAN)
    summary = summarise_rungs(checks)
    drawn = draw_rungs(checks, summary)
    [means] = [trace for trace in drawn.data if trace.name == "mean over methods"]
    assert list(means.y) == ["step 10", "step 30"]
    assert list(means.x) == rounded(summary["tau"])
    [cloud] = [trace for trace in drawn.data if trace.name == "one search"]
    assert len(cloud.x) == len(checks) == 6


def test_what_no_table_has_is_not_drawn() -> None:
    found = carry_out(noise(), ("kd",), brackets=1)
    checks, pairs = check_rungs(found.trials, found.rungs, PLAN), shared_pairs(found.rungs, PLAN)
    tables = {
        "curves": best_so_far(found.trials, found.rungs, PLAN),
        "shared": shared_differences(pairs, PLAN),
        "shared_points": pairs,
        "importances": importances(found.trials, found.studies),
        "rung_checks": checks,
        "rung_summary": summarise_rungs(checks),
        "slices": slices(found.trials, found.studies),
    }
    drawn = draw_searches(tables, ORDER)
    assert {name for name in drawn if not name.startswith("slices/")} == {
        "curves_trials",
        "curves_seconds",
        "rungs",
    }
