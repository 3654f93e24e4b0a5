"""`sweeper methods` lists what can be tuned, explains one, and begins and checks another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sweeper.cli.main import main
from trainers.method_api.registry import all_names, read_space
from trainers.method_api.sources import VARIABLE

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A caller of `sweeper methods` in an empty folder; folders it is given are forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "")
    return lambda *arguments: CliRunner().invoke(main, ["methods", *arguments])


def test_every_method_and_combination_has_a_line(run: Run) -> None:
    lines = run().stdout.splitlines()
    listed = [line.split()[0] for line in lines[1 : 1 + len(all_names())]]
    assert [name.rstrip("*") for name in listed] == list(all_names())
    assert {n for n in listed if n.endswith("*")} == {
        f"{name}*" for name in all_names() if read_space(name).unverified
    }


def test_a_method_is_explained_with_the_source_of_every_value(run: Run) -> None:
    said = run("rdd").stdout
    space = read_space("rdd")
    assert said.startswith(f"rdd: {space.paper}\n")
    lines = [line for line in said.splitlines() if line]
    for name, source in space.sources.items():
        assert any(line.startswith(f"{name} ") and source in line for line in lines), name
    assert "0.5 to 0.95" in said
    assert "0.25 to 4, log, full space only" in said
    assert "multiplier on all weights" in said


@pytest.mark.parametrize("name", ["rdd+kd", "term:pixel_kl"])
def test_a_combination_and_a_single_term_are_explained_too(run: Run, name: str) -> None:
    assert run(name).stdout.startswith(f"{name}: ")


def test_the_baseline_has_no_terms(run: Run) -> None:
    said = run("baseline").stdout
    assert "terms: none, the task loss alone" in said
    assert "multiplier" not in said


def test_a_method_that_was_begun_is_listed_and_not_overwritten(run: Run, tmp_path: Path) -> None:
    begun = run("new", "mine")
    assert begun.exit_code == 0
    assert "tune it:   sweeper launch --method-path methods --method mine" in begun.stdout
    assert sorted(file.name for file in (tmp_path / "methods").iterdir()) == [
        "mine.py",
        "mine.toml",
    ]
    listed = run("--method-path", "methods").stdout.splitlines()
    assert "mine*" in {line.split()[0] for line in listed if line}
    again = run("new", "mine")
    assert (again.exit_code, again.stderr.count("\n")) == (2, 1)


def test_a_method_whose_code_is_broken_fails_its_check(run: Run, tmp_path: Path) -> None:
    run("new", "mine")
    code = tmp_path / "methods" / "mine.py"
    code.write_text(code.read_text().replace("    return (student", "    return 0 * (student"))
    checked = run("--method-path", "methods", "check", "mine")
    assert checked.exit_code == 1
    assert "mine" in checked.stdout
