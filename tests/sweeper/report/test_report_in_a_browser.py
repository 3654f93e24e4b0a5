"""The report as people meet it: in a browser, with a mouse, with keys, on a phone, in the dark."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sweeper.audit.run import run_audit
from sweeper.comparison.comparison import compare_sweep
from sweeper.report.page import NAVIGATION
from sweeper.report.writer import write_report
from tests.sweeper.browser import CHROMIUM, Browser, browsing
from tests.sweeper.confirmed import confirm
from tests.sweeper.synthetic import fill

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
SEEDS = {"baseline": [40.0, 40.2, 40.4, 40.1], "kd": [42.0, 42.3], "rdd": [40.1, 40.3]}
AXE = Path(os.environ.get("AXE_CORE", "axe.min.js"))
TABLE = "document.querySelector('#verdicts table')"
FIRST = f"[...{TABLE}.tBodies[0].rows].map(row => row.cells[0].textContent).join(' ')"
SORTED = f"{TABLE}.tHead.rows[0].cells[2].getAttribute('aria-sort')"
SERIOUS = """axe.run().then(found => found.violations
    .filter(each => ['serious', 'critical'].includes(each.impact))
    .map(each => `${each.id}: ${each.nodes.map(node => node.html).join(' ')}`))"""
DRAWN = """new Promise(done => {
    const plots = [...document.querySelectorAll('.plot')];
    const show = () => {
        const next = plots.find(plot => !plot.querySelector('.main-svg'));
        if (!next) return done(plots.length);
        next.scrollIntoView({ behavior: 'instant' });
        setTimeout(show, 50);
    };
    show();
})"""


@pytest.fixture
def page(engine: Engine, tmp_path: Path) -> Path:
    """The page of a small confirmed sweep."""
    fill(engine)
    confirm(engine, SEEDS)
    comparison = compare_sweep(engine, "demo")
    return write_report(comparison, run_audit(comparison.evidence), tmp_path / "report")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser that must have nothing to complain of, and asks for the page alone."""
    with browsing(tmp_path / "profile") as opened:
        yield opened
        assert opened.complaints == []
        assert all(url.startswith(("file://", "data:")) for url in opened.requests)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1400, 400])
def test_all_is_drawn_and_nothing_is_wider_than_the_window(
    browser: Browser, page: Path, width: int, dark: bool
) -> None:
    browser.open(page, width, dark)
    assert browser.run(DRAWN) >= 8
    assert browser.run("document.documentElement.scrollWidth") == width
    sections = browser.run("[...document.querySelectorAll('section')].map(each => each.id)")
    assert set(NAVIGATION) <= set(sections)
    ink = browser.run("getComputedStyle(document.body).color")
    light = sum(map(int, ink.removeprefix("rgb(").removesuffix(")").split(","))) > 384
    assert light == dark


def test_a_table_is_sorted_by_click_and_by_key(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.run(FIRST).split()[0] == "baseline"
    browser.run(f"{TABLE}.tHead.rows[0].cells[2].firstElementChild.click()")
    assert (browser.run(SORTED), browser.run(FIRST)) == ("ascending", "baseline rdd kd")
    browser.run(f"{TABLE}.tHead.rows[0].cells[1].firstElementChild.focus()")
    browser.press("Tab")
    browser.press("Enter")
    assert (browser.run(SORTED), browser.run(FIRST)) == ("descending", "kd rdd baseline")


def test_the_theme_is_chosen_by_key_and_redraws_the_figures(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run(DRAWN)
    colour = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    before = browser.run(colour)
    browser.run("document.getElementById('mode').focus()")
    browser.press(" ")
    assert browser.run("document.getElementById('mode').getAttribute('aria-pressed')") == "true"
    assert browser.run(colour) != before


def test_a_method_is_chosen_and_its_slices_are_drawn(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run(
        "{const c = document.getElementById('slice-method'); c.value = 'kd';"
        "c.dispatchEvent(new Event('change'))}"
    )
    browser.settle()
    labels = browser.run(
        "[...document.querySelectorAll('#slice-plots .plot')].map(each => each.ariaLabel)"
    )
    assert len(labels) == 4
    assert all(label.startswith("kd: ") for label in labels)


@pytest.mark.skipif(not AXE.is_file(), reason="AXE_CORE names no axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize(("width", "dark"), [(1400, False), (1400, True), (400, False)])
def test_axe_finds_no_serious_fault(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width, dark)
    browser.run(DRAWN)
    browser.run(f"{AXE.read_text(encoding='utf-8')};0")
    assert browser.run("axe.run().then(found => found.passes.length)") > 10
    assert browser.run(SERIOUS) == []
