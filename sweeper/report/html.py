"""Small pieces of HTML. Whatever is not Html already is escaped, so no name can break a page."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

VOID = ("img", "meta", "br", "link")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a table shows at one place, and by what it is sorted."""

    shown: str
    key: float | str | None = None  # None: by what is shown


def element(name: str, *content: object, **attributes: object) -> Html:
    """Return an element; attributes with the value None or False are left out.

    `class_` is class, `for_` is for; other underscores are hyphens.
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{joined(content)}</{name}>")


def joined(content: Iterable[object], between: str = "") -> Html:
    """Return the parts one after another; None is nothing."""
    return Html(between.join(_escaped(part) for part in content if part is not None))


def section(identifier: str, title: str, *content: object) -> Html:
    """Return a section with its heading."""
    heading = f"{identifier}-heading"
    return element(
        "section",
        element("h2", title, id=heading),
        *content,
        id=identifier,
        aria_labelledby=heading,
    )


def paragraph(text: object, kind: str | None = None) -> Html:
    """Return a paragraph."""
    return element("p", text, class_=kind)


def missing(reason: str) -> Html:
    """Return what stands where there is nothing to show: why, and what to do."""
    return paragraph(reason, "missing")


def details(title: str, *content: object) -> Html:
    """Return content that is shown when asked for."""
    return element("details", element("summary", title), *content)


def table(caption: str, headers: Sequence[str], rows: Iterable[Sequence[Cell | str]]) -> Html:
    """Return a table that sorts by any column, in a box that scrolls where it is too wide.

    The first cell of each row is its heading.
    """
    cells = list(rows)
    columns = [[row[place] for row in cells] for place in range(len(headers))]
    head = element("tr", *map(_head, headers, columns))
    body = [element("tr", *(_cell(cell, place) for place, cell in enumerate(row))) for row in cells]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
        class_="sortable",
    )
    return element("div", whole, class_="scroll", role="region", tabindex=0, aria_label=caption)


def facts(pairs: Mapping[str, object]) -> Html:
    """Return a list of what is known, name by name."""
    rows = [
        element("div", element("dt", name), element("dd", value)) for name, value in pairs.items()
    ]
    return element("dl", *rows)


def link(target: str, text: str) -> Html:
    """Return a link to a file beside the page."""
    return element("a", text, href=target)


def picture(png: bytes, alt: str) -> Html:
    """Return an image that the page holds itself."""
    data = base64.b64encode(png).decode("ascii")
    return element("img", src=f"data:image/png;base64,{data}", alt=alt, loading="lazy")


def number(value: float, decimals: int = 2, sign: str = "") -> Cell:
    """Return a number with fixed decimals, a dash where there is none; `sign` "+" shows both."""
    if value is None or not math.isfinite(value):
        return Cell(shown="-", key=-math.inf)
    return Cell(shown=format(value, f"{sign},.{decimals}f"), key=float(value))


def _head(name: str, column: Sequence[Cell | str]) -> Html:
    is_number = bool(column) and all(map(_is_number, column))
    button = element("button", name, type="button")
    kind = "number" if is_number else None
    return element("th", button, scope="col", aria_sort="none", class_=kind)


def _is_number(cell: Cell | str) -> bool:
    return isinstance(cell, Cell) and isinstance(cell.key, float | int)


def _cell(cell: Cell | str, place: int) -> Html:
    shown, key = (cell.shown, cell.key) if isinstance(cell, Cell) else (cell, None)
    kind = "number" if _is_number(cell) else None
    if place == 0:
        return element("th", shown, scope="row", data_key=key)
    return element("td", shown, class_=kind, data_key=key)


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def _escaped(part: object) -> str:
    return part if isinstance(part, Html) else escape(str(part), quote=False)
