"""Figures say what the frames say, and stay small."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from sqlalchemy import Engine

from sweeper.comparison.comparison import Comparison, compare_sweep
from sweeper.comparison.slice_figures import MOST_POINTS, draw_slice
from sweeper.comparison.theme import rounded
from tests.sweeper.confirmed import confirm
from tests.sweeper.synthetic import fill

SEEDS = {"baseline": [40.0, 40.2, 40.4, 40.1], "kd": [42.0, 42.3], "rdd": [38.1, 38.3]}


@pytest.fixture
def comparison(engine: Engine) -> Comparison:
    """A small sweep in which kd is better and rdd worse."""
    fill(engine)
    confirm(engine, SEEDS)
    return compare_sweep(engine, "demo")


def test_the_interval_plot_holds_both_intervals_of_every_method(comparison: Comparison) -> None:
    drawn = comparison.figures()["verdicts"]
    kd = comparison.verdicts.set_index("method").loc["kd"]
    broad, thin, point = (trace for trace in drawn.data if trace.legendgroup == "better")
    assert broad.line.width > thin.line.width
    assert list(broad.x[:2]) == rounded([kd["low_simultaneous"], kd["high_simultaneous"]])
    assert list(thin.x[:2]) == rounded([kd["low"], kd["high"]])
    assert (list(point.y), list(point.x)) == (["kd"], rounded([kd["difference"]]))
    lines = [shape.x0 for shape in drawn.layout.shapes]
    assert lines == [0.0, comparison.delta]


def test_published_stands_beside_tuned_with_the_baseline_first(comparison: Comparison) -> None:
    drawn = comparison.figures()["published"]
    assert next(iter(drawn.layout.yaxis.categoryarray)) == "baseline"
    assert {trace.name for trace in drawn.data if trace.showlegend is None} == {
        "published (mean)",
        "tuned (mean)",
    }


def test_figures_are_small_valid_json_and_say_what_they_show(comparison: Comparison) -> None:
    figures = comparison.figures()
    assert {"classes", "curves_trials", "curves_seconds", "shared", "importances"} <= set(figures)
    for name, drawn in figures.items():
        assert "NaN" not in drawn.to_json(), name
        assert len(drawn.layout.meta["summary"]) > 20, name
        assert drawn.layout.height, name
        assert len(json.dumps(drawn.to_plotly_json()["data"], default=list)) < 40_000, name


def test_a_slice_keeps_the_best_of_very_many_trials(comparison: Comparison) -> None:
    rows = comparison.slices
    rows = rows[(rows["method"] == "kd") & (rows["hyperparameter"] == "learning_rate")]
    many = pd.concat([rows[rows["state"] == "COMPLETE"]] * 60, ignore_index=True)
    many["number"] = range(len(many))
    many["is_published"] = False
    drawn = draw_slice(many, "kd", "learning_rate")
    [points] = [trace for trace in drawn.data if trace.mode == "markers"]
    assert len(points.x) == MOST_POINTS < len(many)
    assert max(points.y) == pytest.approx(many["score"].max(), abs=0.01)
