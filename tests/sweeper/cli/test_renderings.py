"""`sweeper compare`: one table for people, papers and programs, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import Engine, text

from tests.sweeper.confirmed import confirm, train_axes
from tests.sweeper.synthetic import fill

Run = Callable[..., Result]
SEEDS = {"baseline": [40.0, 40.2, 40.4, 40.2], "kd": [42.0, 42.3], "rdd+cirkd": [38.1, 38.3]}
ONE_RUNG = """UPDATE sweeper.sweep SET protocol =
              jsonb_set(protocol, '{plan}', CAST(:plan AS jsonb)) WHERE name = 'demo'"""
STEP_COSTS = {"baseline": 1.0, "kd": 1.5, "rdd+cirkd": 3.0}


@pytest.fixture
def compare(engine: Engine, run: Run) -> Run:
    """A caller on a confirmed sweep whose audit is not what is tested here."""
    fill(engine, methods=tuple(SEEDS))
    confirm(engine, SEEDS)
    return lambda *arguments: run("compare", "demo", "--allow-unequal", *arguments)


def test_the_table_says_who_is_better_and_what_is_claimed(compare: Run) -> None:
    found = compare()
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["method", "baseline", "kd", "rdd+cirkd"]
    assert "better" in lines[2]
    assert "worse" in lines[3]
    assert "Claimed is something about configurations" in found.stdout
    assert "Holm over 2 methods" in found.stdout


def test_csv_and_json_have_every_column(compare: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(compare("--format", "csv").stdout)))
    told = json.loads(compare("--format", "json").stdout)
    assert [row["method"] for row in rows] == [row["method"] for row in told["methods"]]
    assert rows[0].keys() == told["methods"][0].keys()
    assert told["methods"][1]["difference"] == pytest.approx(42.15 - 40.2)
    assert told["methods"][0]["difference"] is None
    assert (told["sweep"], told["budget"], told["delta"]) == ("demo", 16, 0.5)


def test_a_table_for_papers_has_as_many_cells_in_each_row(compare: Run) -> None:
    text = compare("--format", "latex").stdout
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) == 1 + len(SEEDS)
    assert {line.count("&") for line in body} == {11}
    assert r"\toprule" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert r"95 \%" in body[0]
    assert "$+$1.95" in body[2]
    page = compare("--format", "markdown").stdout.splitlines()
    assert {line.count("|") for line in page[: 2 + len(SEEDS)]} == {13}


def test_the_suffix_of_a_file_gives_its_format(compare: Run, tmp_path: Path) -> None:
    assert "3 rows in" in compare("--output", str(tmp_path / "a.tex")).output
    assert r"\begin{tabular}" in (tmp_path / "a.tex").read_text(encoding="utf-8")
    refused = compare("--output", str(tmp_path / "a.docx"))
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert ".csv, .json, .md, .tex" in refused.stderr
    gone = compare("--output", str(tmp_path / "nowhere" / "a.csv"))
    assert (gone.exit_code, gone.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("part", ["tuning", "training"])
def test_equal_cost_has_a_table_of_its_own_without_verdicts(
    engine: Engine, compare: Run, run: Run, part: str
) -> None:
    refused = compare("--equal-cost", part)
    assert refused.exit_code == 2
    assert "sweeper confirm demo --equal-cost" in refused.stderr
    train_axes(engine, {method: values[:2] for method, values in SEEDS.items()}, STEP_COSTS)
    assert "compare its sweep, demo" in run("compare", "demo:tuning").stderr
    shown = compare("--equal-cost", part).stdout
    assert "nothing is tested" in shown
    assert "better" not in shown
    assert "on a device" in shown
    told = json.loads(compare("--equal-cost", part, "--format", "json").stdout)
    assert [row["method"] for row in told["methods"]] == ["baseline", "kd", "rdd+cirkd"]
    rows = compare("--equal-cost", part, "--format", "latex").stdout.splitlines()
    assert {line.count("&") for line in rows if line.endswith(r"\\")} == {7}
    assert "warnings" in told


def test_an_unknown_sweep_is_one_line_with_the_nearest(engine: Engine, run: Run) -> None:
    fill(engine)
    refused = run("compare", "dem")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "demo" in refused.stderr


def test_a_sweep_without_methods_is_one_line(engine: Engine, run: Run) -> None:
    fill(engine, methods=())
    for command in ("compare", "report"):
        refused = run(command, "demo", *(("-o", "page") if command == "report" else ()))
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
        assert "has no method" in refused.stderr


def test_a_plan_with_one_rung_judges_nobody(engine: Engine, compare: Run, run: Run) -> None:
    plan = json.dumps({"bracket": 8, "rung_steps": [80], "keep": [8], "anchors": 8})
    with engine.begin() as connection:
        connection.execute(text(ONE_RUNG), {"plan": plan})
    assert compare().exit_code == 0
    assert run("audit", "demo").exit_code == 1  # the trials were judged at a rung that is none now
    assert run("report", "demo", "-o", "page", "--allow-unequal").exit_code == 0
