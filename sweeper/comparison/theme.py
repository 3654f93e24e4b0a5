"""How figures look: one palette that colour-blind people can read, on light and on dark paper."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import plotly.graph_objects as go

BLUE, VERMILION, GREY, PURPLE = "#2a86d1", "#d0581c", "#80868f", "#a2619f"
# Okabe and Ito's colours, of which each has a contrast of 3 to white and to near black.
PALETTE = (BLUE, "#c27c0e", "#0f9271", PURPLE, VERMILION, "#3b91b5", "#8f7a2e", "#c0527a")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # never colour alone
ROW = 26  # pixels of a row of a figure that has one a method
EDGE = 60  # pixels above and below the rows
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
CLEAR = "rgba(0,0,0,0)"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How a verdict looks: in a figure, and as a sign in text."""

    colour: str
    symbol: str
    sign: str


BASELINE_MARK = Mark(colour=GREY, symbol="diamond", sign="◆")
MARKS: Mapping[str, Mark] = MappingProxyType(
    {
        "better": Mark(colour=BLUE, symbol="triangle-up", sign="▲"),
        "worse": Mark(colour=VERMILION, symbol="triangle-down", sign="▼"),
        "worse at budget": Mark(colour=VERMILION, symbol="triangle-down-open", sign="▽"),
        "no gain": Mark(colour=GREY, symbol="square", sign="■"),
        "undecided": Mark(colour=PURPLE, symbol="circle-open", sign="○"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What differs between light and dark."""

    ink: str
    soft: str  # of the grid
    paper: str  # behind labels under the pointer, and the middle of a diverging scale


LIGHT = Paper(ink="#24292f", soft="#e3e6ea", paper="#ffffff")
DARK = Paper(ink="#e4e7eb", soft="#343b44", paper="#1c2128")


def kind_of(verdict: str) -> str:
    """Return which of MARKS a verdict's text is of; nothing for a row without one."""
    found = [name for name in MARKS if verdict.startswith(name)]
    return max(found, key=len, default="")


def theme(*, dark: bool = False) -> go.layout.Template:
    """Return the template for light or dark paper: transparent, so that the page shows through."""
    paper = DARK if dark else LIGHT
    axis = {
        "gridcolor": paper.soft,
        "linecolor": paper.soft,
        "zeroline": False,
        "ticks": "",
        "exponentformat": "e",
        "automargin": True,
        "title": {"standoff": 8},
    }
    layout = {
        "font": {"family": FONT, "size": 13, "color": paper.ink},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "colorway": PALETTE,
        "colorscale": {
            "diverging": [[0, VERMILION], [0.5, paper.paper], [1, BLUE]],
            "sequential": [[0, paper.paper], [1, BLUE]],
        },
        "xaxis": axis,
        "yaxis": axis,
        "hoverlabel": {"bgcolor": paper.paper, "font": {"color": paper.ink}},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "xanchor": "left"},
        "margin": {"l": 8, "r": 12, "t": 48, "b": 48},
        "shapedefaults": {"line": {"color": paper.ink, "width": 1}},
        "annotationdefaults": {"showarrow": False, "font": {"color": paper.ink, "size": 12}},
    }
    return go.layout.Template(layout=layout)


def figure(traces: Sequence[Any], summary: str, **layout: Any) -> go.Figure:
    """Return a figure in the light theme that carries one sentence of what it shows.

    The sentence is `layout.meta["summary"]`: who cannot see the figure is told that.
    """
    about = {"template": theme(), "meta": {"summary": summary}}
    return go.Figure({"data": list(traces), "layout": layout | about})


def methods_axis(names: Sequence[str], room: float = 0.6) -> dict[str, Any]:
    """Return a vertical axis with a place for every method, the first on top.

    Below the last one there is room for what vertical lines are called.
    """
    count = len(names)
    return {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": list(names),
        "range": [count + room - 0.4, -0.6],
        "tickmode": "array",
        "tickvals": list(names),
        "showgrid": False,
    }


def room_for(*columns: Iterable[float]) -> list[float]:
    """Return the range of an axis with some room beside all finite values, and 0."""
    values = [0.0, *(float(v) for column in columns for v in column if math.isfinite(v))]
    room = 0.04 * (max(values) - min(values)) or 1.0
    return [min(values) - room, max(values) + room]


def height_of(rows: int) -> int:
    """Return the height in pixels of a figure with so many rows."""
    return 2 * EDGE + ROW * rows


def table_axes(names: Sequence[str], tilt: int = 0) -> dict[str, Any]:
    """Return the layout of a heat map with a row for each name and its columns' names on top."""
    return {
        "yaxis": methods_axis(names, 0.0),
        "xaxis": {"side": "top", "showgrid": False, "tickangle": tilt},
        "height": height_of(len(names)) + 10,
        "margin": {"b": 12},
    }


def upright(x: float, label: str, dash: str = "solid", side: str = "right") -> dict[str, Any]:
    """Return layout parts for a vertical line through the whole figure, its label on one side."""
    line = {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}
    is_right = side == "right"
    note = {"x": x, "y": 0, "yref": "paper", "yanchor": "bottom"}
    note |= {"xanchor": "left" if is_right else "right", "xshift": 3 if is_right else -3}
    return {
        "shape": line | {"line": {"dash": dash, "width": 1.5}, "opacity": 0.7, "layer": "below"},
        "note": note | {"text": label, "showarrow": False},
    }


def lines(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return what a layout needs for some vertical lines."""
    drawn = list(parts)
    return {
        "shapes": [part["shape"] for part in drawn],
        "annotations": [part["note"] for part in drawn],
    }


def rounded(values: Iterable[Any], decimals: int = 3) -> list[float | None]:
    """Return numbers with few decimals, None for those that are not finite: a page stays small."""
    return [_finite(value, lambda number: round(number, decimals)) for value in values]


def significant(values: Iterable[Any], digits: int = 4) -> list[float | None]:
    """Return numbers with few digits, None for those that are not finite."""
    return [_finite(value, lambda number: float(f"{number:.{digits}g}")) for value in values]


def segments(starts: Sequence[Any], ends: Sequence[Any]) -> list[Any]:
    """Return start, end and a gap of each, as a line with breaks wants them."""
    return [end for start, stop in zip(starts, ends, strict=True) for end in (start, stop, None)]


def _finite(value: Any, short: Any) -> float | None:
    number = math.nan if value is None else float(value)
    return short(number) if math.isfinite(number) else None
