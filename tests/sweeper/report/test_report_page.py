"""The page of a report: what it says, what it leaves out and why, and what lies beside it."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, update

from sweeper.cli.main import FAULT
from sweeper.report.page import NAVIGATION
from sweeper.store.schema import rung, trial
from tests.sweeper.cli.conftest import Run, runner_on
from tests.sweeper.confirmed import confirm
from tests.sweeper.large import fill_large
from tests.sweeper.report.pages import Written
from tests.sweeper.synthetic import fill

SEEDS = {"baseline": [40.0, 40.2, 40.4, 40.1], "kd": [42.0, 42.3], "rdd": [40.1, 40.3]}
VOID_ELEMENTS = {"meta", "link", "img", "br"}


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


def test_a_void_comparison_claims_nothing_and_every_section_says_so(
    engine: Engine, written: Written
) -> None:
    fill_large(engine, ("baseline", "kd"), 16)
    confirm(engine, {name: SEEDS[name] for name in ("baseline", "kd")}, name="large")
    page = written("large")
    assert "Void: nothing may be claimed" in page.section("found")
    assert all("void: rule" in page.section(name) for name in NAVIGATION)


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
