"""Slices: what a method's trials reached along each of its hyperparameters, drawn compactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweeper.comparison.theme import BLUE, GREY, PURPLE, VERMILION, figure, rounded, significant
from trainers.tasks.schema import METRIC

MOST_POINTS = 200  # of one kind in a slice: half of them the best, half evenly from the others
OCHRE = "#c27c0e"
SHARED = ("learning_rate", "weight_decay", "multiplier")


def draw_slices(slices: pd.DataFrame, order: Sequence[str]) -> dict[str, go.Figure]:
    """Return a figure for every `slices/METHOD/HYPERPARAMETER`, methods in the order given."""
    groups = {
        (str(method), str(name)): rows
        for (method, name), rows in slices.groupby(["method", "hyperparameter"], sort=False)
    }
    rank = {name: place for place, name in enumerate(order)}
    keys = sorted(groups, key=lambda key: (rank.get(key[0], len(rank)), parameter_place(key[1])))
    return {f"slices/{'/'.join(key)}": draw_slice(groups[key], *key) for key in keys}


def parameter_place(name: str) -> int:
    """Return where a hyperparameter stands: shared ones first, then the multiplier."""
    return SHARED.index(name) if name in SHARED else len(SHARED)


def draw_slice(rows: pd.DataFrame, method: str, name: str) -> go.Figure:
    """Return a method's values over one hyperparameter, its published value marked."""
    about = rows.iloc[0]
    published, label = float(about["published"]), name.replace("_", " ")
    values = rows["score"].dropna()
    ends = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    line = {
        "type": "scatter",
        "x": [published, published],
        "y": rounded(ends, 2),
        "mode": "lines",
        "line": {"color": OCHRE, "dash": "dot", "width": 1.5},
        "hovertemplate": f"published: {published:g}<extra></extra>",
    }
    best = rows[rows["state"] == "COMPLETE"].nlargest(1, "score").to_dict("records")
    said = f"; the best, {best[0]['score']:.2f}, at {best[0]['value']:.3g}" if best else ""
    return figure(
        [line, *_points(rows, ends[0])],
        f"{method}: mIoU over {label}, published at {published:g}{said}.",
        xaxis={
            "title": {"text": label},
            "type": "log" if about["log"] else "linear",
            "tickformat": "~g",
            **_decades(about),
        },
        yaxis={"title": {"text": METRIC}},
        height=280,
        showlegend=False,
        margin={"t": 16},
    )


def _decades(about: pd.Series[Any]) -> dict[str, Any]:
    """Return a tick a power of ten for a logarithmic range that holds several."""
    is_wide = bool(about["log"]) and about["high"] / about["low"] >= 50
    return {"dtick": 1} if is_wide else {}


def _points(rows: pd.DataFrame, floor: float) -> Iterator[dict[str, Any]]:
    """Yield a trace of every kind of trial that there is; a diverged one stands on the floor."""
    diverged = rows["diverged"].astype(bool)
    published = rows["is_published"].astype(bool)
    searched = ~diverged & ~published & rows["score"].notna()
    complete = rows["state"] == "COMPLETE"
    kinds = (
        ("stopped at a rung", searched & ~complete, {"color": GREY, "symbol": "circle-open"}),
        ("complete", searched & complete, {"color": BLUE, "symbol": "circle"}),
        ("diverged", diverged, {"color": VERMILION, "symbol": "x-thin-open"}),
        ("published", published & ~diverged, {"color": PURPLE, "symbol": "star", "size": 13}),
    )
    for name, chosen, marker in kinds:
        part = _thinned(rows[chosen])
        if len(part):
            yield {
                "type": "scatter",
                "x": significant(part["value"]),
                "y": rounded(part["score"].fillna(floor), 2),
                "mode": "markers",
                "marker": {"size": 7, "opacity": 0.75} | marker,
                "customdata": [int(number) for number in part["number"]],
                "hovertemplate": f"trial %{{customdata}}, {name}: %{{y}} at %{{x}}<extra></extra>",
            }


def _thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """Return at most so many rows: the better half of them the best there are."""
    if len(rows) <= MOST_POINTS:
        return rows
    ranked = rows.sort_values("score", ascending=False, kind="stable")
    half = MOST_POINTS // 2
    rest = np.linspace(half, len(ranked) - 1, MOST_POINTS - half).round().astype(int)
    return ranked.iloc[[*range(half), *rest]]
