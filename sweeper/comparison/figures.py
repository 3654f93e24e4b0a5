"""Figures of a comparison: what was confirmed; those of the searches stand in search_figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweeper.comparison import equal_cost_figures, search_figures
from sweeper.comparison.theme import (
    BASELINE_MARK,
    GREY,
    MARKS,
    Mark,
    figure,
    height_of,
    kind_of,
    lines,
    methods_axis,
    room_for,
    rounded,
    segments,
    table_axes,
    upright,
)
from sweeper.core.constants import BASELINE
from trainers.tasks.schema import METRIC

RUN_OPACITY = 0.4
TEXT_ROWS = 60  # methods up to which a heat map also prints its numbers


def figures_of(tables: Mapping[str, pd.DataFrame], delta: float) -> dict[str, go.Figure]:
    """Return every figure that there is data for, by name, in the order in which to look at them.

    `tables` are a comparison's, by name; gains below `delta`, in mIoU, do not matter.
    `slices/METHOD/HYPERPARAMETER` are one a method and hyperparameter. Each figure says in
    `layout.meta["summary"]` what it shows.
    """
    verdicts = tables["verdicts"]
    order = list(verdicts["method"])
    drawn: dict[str, go.Figure] = {}
    if verdicts["difference"].notna().any():
        drawn["verdicts"] = draw_verdicts(verdicts, delta)
    if len(tables["confirmed"]):
        drawn["published"] = draw_published(verdicts, tables["confirmed"])
    if len(tables["class_differences"]):
        drawn["classes"] = draw_classes(tables["class_differences"], order)
    if len(tables["tuning_matched"]):
        drawn["equal_tuning"] = equal_cost_figures.draw_tuning(tables["tuning_matched"])
    if len(tables["training_matched"]):
        drawn["equal_training"] = equal_cost_figures.draw_training(tables["training_matched"])
    return drawn | search_figures.draw_searches(tables, order)


def draw_verdicts(verdicts: pd.DataFrame, delta: float) -> go.Figure:
    """Return the differences to the tuned baseline: thin 95 %, broad simultaneous intervals."""
    shown = verdicts[verdicts["difference"].notna() & (verdicts["method"] != BASELINE)]
    kinds = shown["verdict"].map(kind_of)
    traces = [
        trace
        for kind, mark in MARKS.items()
        for trace in _intervals(shown[kinds == kind], kind, mark)
    ]
    counts = ", ".join(f"{(kinds == kind).sum()} {kind}" for kind in MARKS if (kinds == kind).any())
    marked = [upright(0.0, "baseline", side="left"), upright(delta, f"δ = {delta:g}", "dash")]
    return figure(
        traces,
        f"Differences of {len(shown)} methods to the equally tuned baseline, in mIoU: {counts}.",
        yaxis=methods_axis(list(shown["method"])),
        xaxis={
            "title": {"text": "mIoU above the tuned baseline"},
            "range": room_for(shown["low_simultaneous"], shown["high_simultaneous"], [delta]),
        },
        height=height_of(len(shown)),
        **lines(marked),
    )


def draw_published(verdicts: pd.DataFrame, confirmed: pd.DataFrame) -> go.Figure:
    """Return published beside tuned configurations, every confirmation a faint point."""
    order = list(verdicts["method"])
    tuned = dict(zip(verdicts["method"], verdicts["mean"], strict=True))
    published = dict(zip(verdicts["method"], verdicts["published_mean"], strict=True))
    pairs = [rounded([published[name], tuned[name]]) for name in order]
    link = go.Scatter(
        x=segments([pair[0] for pair in pairs], [pair[1] for pair in pairs]),
        y=segments(order, order),
        mode="lines",
        line={"color": GREY, "width": 2},
        hoverinfo="skip",
        showlegend=False,
    )
    styles = (("published", "circle-open", "#c27c0e"), ("tuned", "circle", "#2a86d1"))
    groups = [(style, confirmed[confirmed["configuration"] == style[0]]) for style in styles]
    means = {"published": published, "tuned": tuned}
    clouds = [_runs(runs, style) for style, runs in groups]
    dots = [_means(means[style[0]], order, style) for style in styles]
    gains = np.array([tuned[name] - published[name] for name in order], dtype=float)
    mean = tuned.get(BASELINE, float("nan"))
    marked = [upright(round(mean, 3), "tuned baseline", "dot", "left")] if np.isfinite(mean) else []
    return figure(
        [link, *clouds, *dots],
        f"Published and tuned configurations of {len(order)} methods on the reported split; tuning "
        f"changed mIoU by {np.nanmedian(gains):+.2f} in the median.",
        yaxis=methods_axis(order),
        xaxis={"title": {"text": f"{METRIC}, reported split"}},
        height=height_of(len(order)),
        **lines(marked),
    )


def draw_classes(differences: pd.DataFrame, order: list[str]) -> go.Figure:
    """Return the difference to the baseline in every class as a heat map."""
    wide = differences.pivot_table(
        index="method", columns="class", values="difference", sort=False, dropna=False
    )
    names = [name for name in order if name in wide.index and name != BASELINE]
    wide = wide.reindex(names)
    values = [rounded(row, 2) for row in wide.to_numpy()]
    most = max((abs(v) for row in values for v in row if v is not None), default=1.0) or 1.0
    best = differences[differences["method"].isin(names)].nlargest(1, "difference")
    said = "".join(
        f" The largest is {row['difference']:+.2f} ({row['method']}, {row['class']})."
        for row in best.to_dict("records")
    )
    heat = go.Heatmap(
        z=values,
        x=[str(name) for name in wide.columns],
        y=names,
        autocolorscale=True,
        zmin=-most,
        zmax=most,
        xgap=1,
        ygap=1,
        texttemplate="%{z:+.1f}" if len(names) <= TEXT_ROWS else None,
        hovertemplate="%{y}, %{x}: %{z:+.2f} IoU<extra></extra>",
        colorbar={"title": {"text": "IoU"}, "thickness": 12},
    )
    return figure(
        [heat],
        f"Differences to the baseline's IoU in {len(wide.columns)} classes.{said}",
        **table_axes(names, -40),
    )


def _intervals(rows: pd.DataFrame, kind: str, mark: Mark) -> list[Any]:
    """Return a verdict's broad and thin lines, and its points."""
    if rows.empty:
        return []
    names = list(rows["method"])
    common = {"legendgroup": kind, "hoverinfo": "skip", "showlegend": False, "mode": "lines"}
    y = segments(names, names)
    ends = [
        segments(rounded(rows[f"low{e}"]), rounded(rows[f"high{e}"])) for e in ("_simultaneous", "")
    ]
    widths = ({"width": 11}, {"width": 2})
    bands = [
        go.Scatter(x=x, y=y, line={"color": mark.colour, **width}, opacity=opacity, **common)
        for x, width, opacity in zip(ends, widths, (0.3, 1.0), strict=True)
    ]
    said = [
        f"{row['verdict']}<br>95 %: {row['low']:+.2f} to {row['high']:+.2f}<br>simultaneous: "
        f"{row['low_simultaneous']:+.2f} to {row['high_simultaneous']:+.2f}"
        for row in rows.to_dict("records")
    ]
    points = go.Scatter(
        x=rounded(rows["difference"]),
        y=names,
        mode="markers",
        name=kind,
        legendgroup=kind,
        marker={
            "color": mark.colour,
            "symbol": mark.symbol,
            "size": 12,
            "line": {"width": 2, "color": mark.colour},
        },
        customdata=said,
        hovertemplate="%{y}: %{x:+.2f} mIoU<br>%{customdata}<extra></extra>",
    )
    return [*bands, points]


def _runs(runs: pd.DataFrame, style: tuple[str, str, str]) -> Any:
    name, symbol, colour = style
    return go.Scatter(
        x=rounded(runs["score"]),
        y=list(runs["method"]),
        customdata=[int(seed) for seed in runs["seed"]],
        mode="markers",
        opacity=RUN_OPACITY,
        marker={"color": colour, "symbol": "line-ns-open", "size": 9},
        legendgroup=name,
        showlegend=False,
        hovertemplate=f"%{{y}}, {name}, seed %{{customdata}}: %{{x:.2f}}<extra></extra>",
    )


def _means(means: dict[str, float], order: list[str], style: tuple[str, str, str]) -> Any:
    name, symbol, colour = style
    is_baseline = [method == BASELINE for method in order]
    ours, other = BASELINE_MARK.symbol, symbol
    suffix = "-open" if symbol.endswith("-open") else ""
    symbols = [f"{ours}{suffix}" if own else other for own in is_baseline]
    return go.Scatter(
        x=rounded(means[method] for method in order),
        y=order,
        mode="markers",
        name=f"{name} (mean)",
        legendgroup=name,
        marker={
            "color": colour,
            "symbol": symbols,
            "size": 15 if suffix else 10,  # the ring stays visible where both are one
            "line": {"width": 2, "color": colour},
        },
        hovertemplate=f"%{{y}}, {name}: %{{x:.2f}} mIoU<extra></extra>",
    )
