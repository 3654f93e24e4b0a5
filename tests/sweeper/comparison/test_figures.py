"""Figures say what the frames say, and are told apart without colour."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from sqlalchemy import Engine

from sweeper.comparison.comparison import Comparison, compare_sweep
from sweeper.comparison.slice_figures import MOST_POINTS, draw_slice
from sweeper.comparison.theme import DARK, LIGHT, MARKS, PALETTE, kind_of, rounded, theme
from tests.sweeper.confirmed import confirm
from tests.sweeper.synthetic import fill

SEEDS = {"baseline": [40.0, 40.2, 40.4, 40.1], "kd": [42.0, 42.3], "rdd": [38.1, 38.3]}


@pytest.fixture
def comparison(engine: Engine) -> Comparison:
    """A small sweep in which kd is better and rdd worse."""
    fill(engine)
    confirm(engine, SEEDS)
    return compare_sweep(engine, "demo")


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2 has it."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        ("better", "better"),
        ("worse", "worse"),
        ("worse at budget 64 (contains the baseline: ...)", "worse at budget"),
        ("no gain above delta", "no gain"),
        ("undecided", "undecided"),
        ("", ""),
    ],
)
def test_every_verdict_has_a_mark(verdict: str, kind: str) -> None:
    assert kind_of(verdict) == kind


def test_verdicts_differ_by_more_than_colour() -> None:
    assert len({mark.symbol for mark in MARKS.values()}) == len(MARKS)
    assert len({mark.sign for mark in MARKS.values()}) == len(MARKS)


@pytest.mark.parametrize("paper", [LIGHT.paper, DARK.paper])
def test_every_colour_can_be_seen_on_both_papers(paper: str) -> None:
    colours = {*PALETTE, *(mark.colour for mark in MARKS.values())}
    assert not {colour for colour in colours if contrast(colour, paper) < 3}


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


@pytest.mark.parametrize("dark", [False, True])
def test_a_theme_lets_the_page_show_through(dark: bool) -> None:
    assert theme(dark=dark).layout.plot_bgcolor == "rgba(0,0,0,0)"
