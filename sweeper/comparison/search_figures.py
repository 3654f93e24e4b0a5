"""Figures of the searches: curves, shared points, slices, importances, and the check of rungs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from sweeper.comparison.bracket_replay import AXES
from sweeper.comparison.rung_check import LEAST_AGREEMENT
from sweeper.comparison.slice_figures import SHARED, draw_slices
from sweeper.comparison.theme import (
    BLUE,
    DASHES,
    GREY,
    PALETTE,
    figure,
    height_of,
    lines,
    methods_axis,
    rounded,
    segments,
    significant,
    table_axes,
    upright,
)
from sweeper.core.constants import BASELINE
from trainers.tasks.schema import METRIC

MOST_CURVES = 20  # the baseline and the first of the others; the table has them all
SHOWN = 4  # methods whose curves are shown at first, beside the baseline: more is a thicket
OWN = "own hyperparameters"


def draw_searches(tables: Mapping[str, pd.DataFrame], order: Sequence[str]) -> dict[str, go.Figure]:
    """Return the figures of the searches by name; methods stand in the order given."""
    curves = tables["curves"]
    drawn = {
        f"curves_{axis}": draw_curves(rows, axis, order)
        for axis in ("trials", "seconds")
        if len(rows := curves[curves["axis"] == axis])
    }
    if len(tables["shared"]):
        drawn["shared"] = draw_shared(tables["shared"], tables["shared_points"])
    if tables["importances"]["importance"].notna().any():
        drawn["importances"] = draw_importances(tables["importances"], order)
    if tables["rung_checks"]["tau"].notna().any():
        drawn["rungs"] = draw_rungs(tables["rung_checks"], tables["rung_summary"])
    return drawn | draw_slices(tables["slices"], order)


def draw_curves(curves: pd.DataFrame, axis: str, order: Sequence[str]) -> go.Figure:
    """Return the best value so far along an axis, with 90 % bands.

    The baseline and the first methods of `order` are shown, the others wait in the legend.
    """
    present = set(curves["method"])
    names = [name for name in order if name in present]
    names = sorted(names, key=lambda name: name != BASELINE)[:MOST_CURVES]
    traces = [
        trace
        for place, name in enumerate(names)
        for trace in _curve(curves[curves["method"] == name], place)
    ]
    drawn = curves[curves["method"].isin(names)]
    ends = drawn.dropna(subset=["observed"]).groupby("method")["observed"].last()
    said = f" {ends.idxmax()} ends highest, at {ends.max():.2f}." if len(ends) else ""
    return figure(
        traces,
        f"Best value so far of {len(names)} methods by {axis}, on the selection split.{said}",
        xaxis={"title": {"text": AXES[axis]}, "rangemode": "tozero"},
        yaxis={"title": {"text": f"best so far: {METRIC}"}},
        height=460,
        legend={"orientation": "h", "y": -0.22, "yanchor": "top"},
        margin={"t": 16},
        hovermode="closest",
    )


def draw_shared(shared: pd.DataFrame, points: pd.DataFrame) -> go.Figure:
    """Return mean differences to the baseline at equal shared points, every point a tick."""
    rows = shared.sort_values("mean", ascending=False)
    names = list(rows["method"])
    cloud = _cloud(
        points["difference"],
        points["method"],
        opacity=0.45,
        size=9,
        customdata=[int(number) for number in points["number"]],
        name="one shared point",
        hovertemplate="%{y}, trial %{customdata}: %{x:+.2f}<extra></extra>",
    )
    band = _band(rows["low"], rows["high"], names, width=2, name="95 % over points")
    means = _means(
        rows["mean"],
        names,
        size=10,
        name="mean",
        customdata=[
            f"{p} of {n} above" for p, n in zip(rows["n_positive"], rows["n"], strict=True)
        ],
        hovertemplate="%{y}: %{x:+.2f} mIoU, %{customdata}<extra></extra>",
    )
    above = int((shared["mean"] > 0).sum())
    return figure(
        [cloud, band, means],
        f"At equal shared hyperparameters {above} of {len(names)} methods lie above the baseline "
        "on average.",
        yaxis=methods_axis(names),
        xaxis={"title": {"text": "mIoU above the baseline, same point"}},
        height=height_of(len(names)),
        **lines([upright(0.0, "baseline")]),
    )


def draw_importances(importances: pd.DataFrame, order: Sequence[str]) -> go.Figure:
    """Return each hyperparameter's share in being among the best, a row a method."""
    column = importances["hyperparameter"].where(importances["hyperparameter"].isin(SHARED), OWN)
    sums = importances.assign(column=column).groupby(["method", "repeat", "column"])["importance"]
    wide = sums.sum(min_count=1).groupby(["method", "column"]).mean().unstack()
    names = [name for name in order if name in wide.index and wide.loc[name].notna().any()]
    columns = [name for name in (*SHARED, OWN) if name in wide.columns]
    wide = wide.reindex(index=names, columns=columns)
    first = wide.mean().idxmax()
    heat = go.Heatmap(
        z=[rounded(row, 2) for row in wide.to_numpy()],
        x=[str(name).replace("_", " ") for name in columns],
        y=names,
        autocolorscale=True,
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        texttemplate="%{z:.2f}",
        hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
        colorbar={"title": {"text": "share"}, "thickness": 12},
    )
    return figure(
        [heat],
        f"Over {len(names)} methods the largest mean share, {wide[first].mean():.2f}, is that of "
        f"{str(first).replace('_', ' ')}.",
        **table_axes(names, -20),
    )


def draw_rungs(checks: pd.DataFrame, summary: pd.DataFrame) -> go.Figure:
    """Return how each rung agrees with the end: every search, and the mean over methods."""
    labels = {row["rung"]: f"step {row['step']:,}" for row in summary.to_dict("records")}
    names = list(labels.values())
    cloud = _cloud(
        checks["tau"],
        [labels[rung] for rung in checks["rung"]],
        opacity=0.5,
        size=12,
        customdata=list(checks["method"]),
        name="one search",
        hovertemplate="%{customdata}, %{y}: τ = %{x:.2f}<extra></extra>",
    )
    band = _band(summary["tau_low"], summary["tau_high"], names, width=3, name="95 % over methods")
    means = _means(
        summary["tau"],
        names,
        size=11,
        name="mean over methods",
        hovertemplate="%{y}: τ = %{x:.2f}<extra></extra>",
    )
    said = ", ".join(
        f"{row['tau']:.2f} at step {row['step']:,}" for row in summary.to_dict("records")
    )
    return figure(
        [cloud, band, means],
        f"Agreement of each rung's ranking with the final one (Kendall's tau): {said}.",
        yaxis=methods_axis(names),
        xaxis={"title": {"text": "Kendall's τ between rung and end"}, "range": [-1.05, 1.05]},
        height=height_of(len(names)) + 40,
        **lines([upright(LEAST_AGREEMENT, "least trusted", "dash", "left")]),
    )


def _curve(rows: pd.DataFrame, place: int) -> Iterator[Any]:
    """Yield a method's band and its curve; those after the first few are hidden until asked for."""
    name = str(rows["method"].iloc[0])
    is_baseline = name == BASELINE
    colour = GREY if is_baseline else PALETTE[(place - 1) % len(PALETTE)]
    dash = "solid" if is_baseline else DASHES[(place - 1) % len(DASHES)]
    visible = True if place <= SHOWN else "legendonly"
    banded = rows.dropna(subset=["low", "high"])
    at = significant(banded["at"])
    edge = [*rounded(banded["low"], 2), *rounded(banded["high"], 2)[::-1]]
    yield go.Scatter(
        x=[*at, *at[::-1]],
        y=edge,
        fill="toself",
        fillcolor=colour,
        opacity=0.13,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        legendgroup=name,
        showlegend=False,
        visible=visible,
    )
    yield go.Scatter(
        x=significant(rows["at"]),
        y=rounded(rows["observed"], 2),
        mode="lines",
        name=name,
        legendgroup=name,
        visible=visible,
        line={"color": colour, "dash": dash, "width": 4 if is_baseline else 2, "shape": "hv"},
        hovertemplate=f"{name}: %{{y:.2f}} at %{{x}}<extra></extra>",
    )


def _cloud(
    x: Iterable[float], y: Iterable[str], *, size: int, opacity: float, **told: Any
) -> go.Scatter:
    """Return a faint tick for each single value."""
    marker = {"color": GREY, "symbol": "line-ns-open", "size": size}
    return go.Scatter(
        x=rounded(x), y=list(y), mode="markers", opacity=opacity, marker=marker, **told
    )


def _band(
    low: Iterable[float], high: Iterable[float], y: Sequence[str], *, width: int, name: str
) -> go.Scatter:
    """Return a line from limit to limit in each row."""
    return go.Scatter(
        x=segments(rounded(low), rounded(high)),
        y=segments(y, y),
        mode="lines",
        line={"color": BLUE, "width": width},
        hoverinfo="skip",
        name=name,
    )


def _means(x: Iterable[float], y: Sequence[str], *, size: int, **told: Any) -> go.Scatter:
    """Return a filled circle for the mean of each row."""
    marker = {"color": BLUE, "symbol": "circle", "size": size}
    return go.Scatter(x=rounded(x), y=list(y), mode="markers", marker=marker, **told)
