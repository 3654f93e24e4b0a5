"""Tables for people: framed in a terminal, aligned plain text in a pipe, nothing cut off there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

SHORT_NAMES: Mapping[str, str] = {"learning_rate": "lr", "weight_decay": "wd", "multiplier": "m"}
BLOCKS = "▁▂▃▄▅▆▇█"
NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?|[+-]?\d+/\d+|#\d+")
GAP = "  "


def echo_table(headers: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table to standard output in the form that suits it."""
    console = Console()
    cells = [[cell_text(value) for value in row] for row in rows]
    if console.is_terminal:
        console.print(framed(headers, cells, title))
    else:
        click.echo(plain(headers, cells, title))


def framed(headers: Sequence[str], cells: Sequence[Sequence[str]], title: str = "") -> Table:
    """Return the table as rich draws it; too long cells are folded, never cut."""
    table = Table(
        title=title or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for place, header in enumerate(headers):
        right = _is_numeric([row[place] for row in cells])
        # Of a row's name nothing may be folded away; the widest of the other columns yield first.
        table.add_column(
            Text(header), justify="right" if right else "left", overflow="fold", no_wrap=place == 0
        )
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    return table


def plain(headers: Sequence[str], cells: Sequence[Sequence[str]], title: str = "") -> str:
    """Return the table as text: columns aligned with spaces, one line a row."""
    lines = [list(headers), *([" ".join(cell.split()) for cell in row] for row in cells)]
    columns = [[line[place] for line in lines] for place in range(len(headers))]
    widths = [max(map(len, column)) for column in columns]
    right = [_is_numeric(column[1:]) for column in columns]
    text = [
        GAP.join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([title, *text] if title else text)


def cell_text(value: object) -> str:
    """Return a value as a cell shows it: two decimals, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return decimals(value)
    return str(value)


def decimals(value: float) -> str:
    """Return a number with two decimals, or with two digits where that would show nothing."""
    return short_number(value) if 0 < abs(value) < 0.01 else f"{value:.2f}"


def short_number(value: object) -> str:
    """Return two significant digits in the shorter notation, for example 0.013 or 1e-4."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return str(value)
    mantissa, exponent = f"{value:.1e}".split("e")
    scientific = f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    fixed = f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"
    return scientific if "e" in fixed or len(scientific) < len(fixed) else fixed


def short_params(params: Mapping[str, object] | None) -> str:
    """Return hyperparameters in one short line: lr=0.013 wd=1e-4 m=0.8 temperature=2."""
    ordered = sorted(params or {}, key=parameter_order)
    pairs = ((SHORT_NAMES.get(name, name), (params or {})[name]) for name in ordered)
    return " ".join(f"{name}={short_number(value)}" for name, value in pairs)


def parameter_order(name: str) -> tuple[int, str]:
    """Return a key that puts shared hyperparameters first, then the multiplier, then the rest."""
    known = list(SHORT_NAMES)
    return (known.index(name) if name in known else len(known)), name


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Return the course of some values as a line of blocks, each the mean of its share of them."""
    if not values:
        return ""
    count = min(width, len(values))
    edges = [len(values) * place // count for place in range(count + 1)]
    means = [
        sum(values[start:stop]) / (stop - start)
        for start, stop in zip(edges, edges[1:], strict=False)
    ]
    low, high = min(means), max(means)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((mean - low) * scale)] for mean in means)


def duration(seconds: float) -> str:
    """Return a time span in its largest fitting units: 42 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def byte_size(count: int) -> str:
    """Return a file size: 512 B, 3.4 MB."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _is_numeric(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(NUMBER.fullmatch(cell) for cell in filled)
