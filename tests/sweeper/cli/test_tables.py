"""Tables fit where they are shown, and numbers are short."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sweeper.cli.tables import (
    byte_size,
    cell_text,
    duration,
    framed,
    plain,
    short_number,
    short_params,
    sparkline,
)

HEADERS = ["name", "value", "text"]
CELLS = [["a", "1.00", "word " * 40], ["b", "10.00", ""]]


def test_plain_tables_align_numbers_to_the_right_and_cut_nothing() -> None:
    lines = plain(HEADERS, CELLS).splitlines()
    assert lines[1].startswith("a      1.00  word")
    assert lines[2] == "b     10.00"
    assert lines[1].count("word") == 40


def test_framed_tables_fit_100_columns_and_cut_nothing() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    console.print(framed(HEADERS, CELLS))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, written.splitlines())) <= 100
    assert written.count("word") == 40


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0131, "0.013"), (1e-4, "1e-4"), (0.5, "0.5"), (1.0, "1"), (123.4, "123"), (0.0, "0")],
)
def test_hyperparameters_are_short(value: float, shown: str) -> None:
    assert short_number(value) == shown


def test_shared_hyperparameters_come_first_under_their_short_names() -> None:
    params = {"temperature": 2.0, "multiplier": 0.8, "weight_decay": 1e-4, "learning_rate": 0.013}
    assert short_params(params) == "lr=0.013 wd=1e-4 m=0.8 temperature=2"


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (True, "yes"), (41.499, "41.50"), (3e-5, "3e-5"), (7, "7")]
)
def test_cells_have_two_decimals(value: object, shown: str) -> None:
    assert cell_text(value) == shown


def test_a_sparkline_falls_as_its_values_do() -> None:
    assert sparkline([8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]) == "█▇▆▅▄▃▂▁"
    assert len(sparkline([float(n) for n in range(1000)], width=40)) == 40
    assert sparkline([1.0, 1.0]) == "▁▁"


def test_times_and_sizes_have_a_fitting_unit() -> None:
    assert [duration(s) for s in (42, 200, 7500, 270_000)] == [
        "42 s",
        "3 min 20 s",
        "2 h 5 min",
        "3 d 3 h",
    ]
    assert [byte_size(n) for n in (512, 3_400_000)] == ["512 B", "3.4 MB"]
