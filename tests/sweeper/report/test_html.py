"""Pieces of HTML: nothing breaks a page, and tables sort."""

from __future__ import annotations

import pytest

from sweeper.report.html import Cell, element, number, table


def test_a_name_cannot_break_the_page() -> None:
    assert element("p", "<b>&", title='"') == '<p title="&quot;">&lt;b&gt;&amp;</p>'
    assert "<script" not in table("t", ["a"], [["<script>"]])


@pytest.mark.parametrize(
    ("value", "shown"), [(1234.567, "+1,234.57"), (-0.2, "-0.20"), (float("nan"), "-")]
)
def test_numbers_are_read_and_sorted(value: float, shown: str) -> None:
    cell = number(value, sign="+")
    assert isinstance(cell, Cell)
    assert (cell.shown, isinstance(cell.key, float)) == (shown, True)
