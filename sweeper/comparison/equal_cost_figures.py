"""Figures at equal cost: a row a method, a mark for each of the values side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from sweeper.comparison.theme import (
    BASELINE_MARK,
    BLUE,
    PURPLE,
    figure,
    height_of,
    lines,
    methods_axis,
    rounded,
    upright,
)
from sweeper.core.constants import BASELINE
from trainers.tasks.schema import METRIC

ORANGE = "#c27c0e"
AXIS = {"title": {"text": f"{METRIC}, reported split"}}


def draw_tuning(matched: pd.DataFrame) -> go.Figure:
    """Return each method's confirmed choice after equally many trials and at equal cost."""
    names = list(matched["method"])
    mean = matched.set_index("method")["mean"]
    found = matched["mean"].notna()
    ahead = int((matched["difference"] > 0).sum())
    traces = [
        _marks(matched["mean_equal_trials"], names, "equal trials", "circle-open", ORANGE, 13),
        _marks(matched["mean"], names, "equal cost", "circle", BLUE, 9),
    ]
    return figure(
        traces,
        f"At the cost of the cheapest search {int(found.sum())} of {len(names)} searches had a "
        f"trial at its end; {ahead} of these choices lie above the baseline's.",
        yaxis=methods_axis(names),
        xaxis=AXIS,
        height=height_of(len(names)),
        **lines([upright(round(float(mean[BASELINE]), 3), "baseline", "dot", "left")]),
    )


def draw_training(matched: pd.DataFrame) -> go.Figure:
    """Return each method beside the baseline and plain distillation trained for as much."""
    others = matched[(matched["method"] != BASELINE) & matched["difference"].notna()]
    names = [f"{r['method']} {r['cost']:.2f}×" for r in others.to_dict("records")]
    ahead = int((others["difference"] > 0).sum())
    traces = [
        _marks(others["baseline"], names, "baseline", BASELINE_MARK.symbol, BASELINE_MARK.colour),
        _marks(others["kd"], names, "kd", "square-open", PURPLE, 13),
        _marks(others["mean"], names, "the method", "circle", BLUE, 9),
    ]
    return figure(
        traces,
        f"{ahead} of {len(names)} methods lie above the baseline that is trained for as much, at "
        "most twice as long; beside a name, what one training costs in the baseline's.",
        yaxis=methods_axis(names),
        xaxis=AXIS,
        height=height_of(len(names)),
    )


def _marks(
    values: Iterable[float],
    names: Sequence[str],
    name: str,
    symbol: str,
    colour: str,
    size: int = 11,
) -> Any:
    """Return a mark in each row; a smaller one stands on a larger one of the same value."""
    marker = {
        "symbol": symbol,
        "color": colour,
        "size": size,
        "line": {"width": 2, "color": colour},
    }
    return go.Scatter(
        x=rounded(values),
        y=list(names),
        mode="markers",
        name=name,
        marker=marker,
        hovertemplate=f"%{{y}}, {name}: %{{x:.2f}} mIoU<extra></extra>",
    )
