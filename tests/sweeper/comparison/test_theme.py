"""Marks and colours that can be told apart, and numbers that are short."""

from __future__ import annotations

import pytest

from sweeper.comparison.theme import (
    DARK,
    LIGHT,
    MARKS,
    PALETTE,
    kind_of,
    methods_axis,
    room_for,
    rounded,
    segments,
    significant,
    theme,
)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2 has it."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        ("better", "better"),
        ("worse", "worse"),
        ("worse at budget 64 (contains the baseline: ...)", "worse at budget"),
        ("no gain above delta", "no gain"),
        ("undecided", "undecided"),
        ("", ""),
    ],
)
def test_every_verdict_has_a_mark(verdict: str, kind: str) -> None:
    assert kind_of(verdict) == kind


def test_verdicts_differ_by_more_than_colour() -> None:
    assert len({mark.symbol for mark in MARKS.values()}) == len(MARKS)
    assert len({mark.sign for mark in MARKS.values()}) == len(MARKS)


@pytest.mark.parametrize("paper", [LIGHT.paper, DARK.paper])
def test_every_colour_can_be_seen_on_both_papers(paper: str) -> None:
    colours = {*PALETTE, *(mark.colour for mark in MARKS.values())}
    assert not {colour for colour in colours if contrast(colour, paper) < 3}


@pytest.mark.parametrize("dark", [False, True])
def test_a_theme_lets_the_page_show_through(dark: bool) -> None:
    assert theme(dark=dark).layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_what_is_not_finite_is_a_gap_and_all_else_is_short() -> None:
    values = [1.23456, float("nan"), None, float("inf"), 12345.6]
    assert rounded(values) == [1.235, None, None, None, 12345.6]
    assert significant(values) == [1.235, None, None, None, 12350.0]
    assert segments([1, 3], [2, 4]) == [1, 2, None, 3, 4, None]


def test_an_axis_has_room_beside_all_values_and_zero() -> None:
    low, high = room_for([2.0, float("nan")], [4.0])
    assert low < 0 < 4 < high
    assert list(methods_axis(["baseline", "kd"])["categoryarray"]) == ["baseline", "kd"]
