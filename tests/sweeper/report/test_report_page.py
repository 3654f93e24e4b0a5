"""The page of a report: what it says, what it leaves out and why, and what lies beside it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, update

from sweeper.audit.run import run_audit
from sweeper.cli.main import FAULT
from sweeper.comparison.comparison import compare_sweep
from sweeper.report.html import Cell, element, number, table
from sweeper.report.page import NAVIGATION
from sweeper.report.writer import write_report
from sweeper.store.schema import rung, trial
from tests.sweeper.cli.conftest import Run, runner_on
from tests.sweeper.confirmed import confirm
from tests.sweeper.large import fill_large
from tests.sweeper.synthetic import fill

SEEDS = {"baseline": [40.0, 40.2, 40.4, 40.1], "kd": [42.0, 42.3], "rdd": [40.1, 40.3]}
VOID_ELEMENTS = {"meta", "link", "img", "br"}
Written = Callable[..., "Page"]


@dataclass
class Page:
    """A page that was written, and its parts."""

    folder: Path
    text: str

    @property
    def body(self) -> str:
        """What people see: without data, library and style."""
        return re.sub(r"<(script|style).*?</\1>", "", self.text, flags=re.DOTALL)

    def section(self, name: str) -> str:
        """The text of one section."""
        [found] = re.findall(rf'<section id="{name}".*?</section>', self.body, re.DOTALL)
        return str(found)

    @property
    def figures(self) -> dict[str, dict[str, object]]:
        """The figures by name."""
        blocks = re.findall(r'data-json="([^"]+)">(.*?)</script>', self.text, re.DOTALL)
        return {name: json.loads(block) for name, block in blocks}


class Balance(HTMLParser):
    """Whether every element ends where it should, and which ids there are."""

    def __init__(self) -> None:
        """Begin with nothing open."""
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)
        self.ids += [str(value) for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def written(engine: Engine, tmp_path: Path) -> Written:
    """Return a writer of the report of the sweep in the store."""

    def write(name: str = "demo") -> Page:
        comparison = compare_sweep(engine, name)
        page = write_report(comparison, run_audit(comparison.evidence), tmp_path / "report")
        return Page(tmp_path / "report", page.read_text(encoding="utf-8"))

    return write


def test_a_confirmed_sweep_fills_every_section(engine: Engine, written: Written) -> None:
    fill(engine)
    confirm(engine, SEEDS)
    page = written()
    parser = Balance()
    parser.feed(page.body)
    assert not parser.open
    assert len(set(parser.ids)) == len(parser.ids)
    assert set(NAVIGATION) <= set(parser.ids)
    assert {"verdicts", "published", "classes", "curves_trials", "shared"} <= set(page.figures)
    for name, figure in page.figures.items():
        assert figure["layout"]["meta"]["summary"].endswith("."), name  # type: ignore[index]


def test_the_page_asks_for_nothing_from_elsewhere(engine: Engine, written: Written) -> None:
    fill(engine)
    for target in re.findall(r'(?:src|href)="([^"]*)"', written().body):
        assert target.startswith(("#", "data:", "data/"))


def test_every_linked_table_lies_beside_the_page(engine: Engine, written: Written) -> None:
    fill(engine)
    confirm(engine, SEEDS)
    page = written()
    linked = set(re.findall(r'href="(data/[^"]+)"', page.body))
    assert len(linked) > 10
    for name in linked:
        with (page.folder / name).open(encoding="utf-8") as file:
            assert len(next(csv.reader(file))) > 1


def test_what_is_not_confirmed_claims_nothing_and_says_what_to_do(
    engine: Engine, written: Written
) -> None:
    fill(engine)
    page = written()
    for name in ("verdicts", "published", "classes"):
        assert "sweeper confirm demo" in page.section(name)
    assert "verdicts" not in page.figures
    assert "curves_trials" in page.figures


def test_one_method_alone_is_shown_without_a_comparison(engine: Engine, written: Written) -> None:
    fill(engine, methods=("baseline",))
    page = written()
    assert "no point yet" in page.section("shared")
    assert "slices/baseline/learning_rate" in page.figures


def test_searches_that_have_only_begun_say_what_is_lacking(
    engine: Engine, written: Written
) -> None:
    fill(engine)
    with engine.begin() as connection:
        connection.execute(delete(rung).where(rung.c.number > 0))
        undecided = {"state": "RUNNING", "score": None}
        connection.execute(update(trial).where(trial.c.number > 0).values(undecided))
    page = written()
    assert "No search has finished a bracket" in page.section("curves")
    assert "anchor trials" in page.section("rungs")


def test_a_void_comparison_claims_nothing_and_every_section_says_so(
    engine: Engine, written: Written
) -> None:
    fill_large(engine, ("baseline", "kd"), 16)
    confirm(engine, {name: SEEDS[name] for name in ("baseline", "kd")}, name="large")
    page = written("large")
    assert "Void: nothing may be claimed" in page.section("found")
    assert all("void: rule" in page.section(name) for name in NAVIGATION)


def test_a_large_page_stays_small(engine: Engine, written: Written) -> None:
    fill_large(engine, ("baseline", "kd"), 1600)
    page = written("large")
    slices = [value for name, value in page.figures.items() if name.startswith("slices/kd/")]
    assert len(slices) == 4
    points = [len(trace["x"]) for trace in slices[0]["data"]]  # type: ignore[index, attr-defined]
    assert max(points) == 200
    assert sum(len(json.dumps(value)) for value in slices) < 80_000


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


def test_the_command_writes_the_page_and_says_where(
    engine: Engine, store_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run: Run = runner_on(store_url, monkeypatch, tmp_path)
    fill(engine)
    result = run("report", "demo", "-o", "out", "--allow-unequal")
    assert (result.exit_code, result.stdout) == (0, f"{Path('out/index.html')}\n")
    assert result.stderr == ""
    assert not list((tmp_path / "out").rglob(".*"))


@pytest.mark.parametrize("begun", [True, False])
def test_a_sweep_without_a_finished_trial_is_one_line(
    engine: Engine,
    store_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    begun: bool,
) -> None:
    run: Run = runner_on(store_url, monkeypatch, tmp_path)
    fill(engine)
    with engine.begin() as connection:
        connection.execute(delete(rung))
        if begun:
            connection.execute(update(trial).values(state="RUNNING", score=None, diverged=False))
        else:
            connection.execute(delete(trial))
    result = run("report", "demo", "-o", "out", "--allow-unequal")
    assert result.exit_code == FAULT
    assert "no trial of demo has ended yet" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line(
    engine: Engine, store_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run: Run = runner_on(store_url, monkeypatch, tmp_path)
    fill(engine)
    (tmp_path / "taken").write_text("")
    result = run("report", "demo", "-o", "taken/deeper", "--allow-unequal")
    assert result.exit_code == FAULT
    assert "taken/deeper cannot be written" in result.stderr
