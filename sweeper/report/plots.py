"""Figures in the page, drawn when they come into view; a sentence each says what they show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from sweeper.comparison.theme import theme
from sweeper.report.html import Html, element, joined, link


def plot(name: str, drawn: Figure, title: str, tables: Sequence[str]) -> Html:
    """Return a figure with its caption, and links to the tables that it is drawn from."""
    summary = summary_of(drawn)
    canvas = element(
        "div",
        class_="plot",
        role="img",
        aria_label=summary,
        data_figure=name,
        style=f"min-height:{drawn.layout.height}px",
    )
    caption = element("figcaption", element("strong", title), " ", summary, " ", data_links(tables))
    return element("figure", caption, canvas)


def data_links(tables: Sequence[str]) -> Html:
    """Return links to tables beside the page."""
    links = [link(f"data/{name}.csv", f"{name}.csv") for name in tables]
    return element("span", "Data: ", joined(links, ", "), class_="data")


def summary_of(drawn: Figure) -> str:
    """Return the sentence that a figure carries."""
    return str(drawn.layout.meta["summary"])


def payload(figures: Mapping[str, Figure]) -> Html:
    """Return the figures as JSON, each in an element of its own, and the themes of both modes."""
    themes = {"light": theme().to_plotly_json(), "dark": theme(dark=True).to_plotly_json()}
    parts = {name: _bare(drawn) for name, drawn in figures.items()}
    blocks = [_json_block(value, data_json=name) for name, value in parts.items()]
    return joined([_json_block(themes, id="themes"), *blocks], "\n")


def library() -> Html:
    """Return plotly.js, as the installed package has it."""
    return Html(f"<script>{get_plotlyjs()}</script>")


def _bare(drawn: Figure) -> dict[str, Any]:
    """Return a figure without its theme: the page puts it on."""
    bare: dict[str, Any] = drawn.to_plotly_json()
    bare["layout"] = {key: part for key, part in bare["layout"].items() if key != "template"}
    return bare


def _json_block(value: Any, **attributes: str) -> Html:
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return element("script", Html(text), type="application/json", **attributes)
