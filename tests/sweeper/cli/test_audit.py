"""`sweeper audit`: a table or JSON, and an exit code that a script can go by."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from sweeper.audit.rules import RULES
from sweeper.cli.main import main
from tests.sweeper.confirmed import confirm
from tests.sweeper.digested import add_all_digests
from tests.sweeper.processes import loaded
from tests.sweeper.synthetic import fill, leave_in_flight

Run = Callable[..., Result]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Run]:
    """Return what makes a caller of `sweeper` on a database."""
    monkeypatch.chdir(tmp_path)

    def on(url: str) -> Run:
        monkeypatch.setenv("SWEEPER_DATABASE_URL", url)
        return lambda *arguments: CliRunner().invoke(main, list(arguments))

    return on


@pytest.fixture
def run(runs: Callable[[str], Run], store_url: str) -> Run:
    """A caller on a store of the test's own."""
    return runs(store_url)


def change(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))
        add_all_digests(connection)


def states(result: Result) -> dict[str, str]:
    return {each["name"]: each["state"] for each in json.loads(result.stdout)["findings"]}


def test_a_sound_sweep_has_a_line_a_rule_and_exit_code_0(
    runs: Callable[[str], Run], sound_url: str
) -> None:
    result = runs(sound_url)("audit", "demo")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].split() == ["rule", "state", "evidence"]
    for rule, line in zip(RULES, lines[1:], strict=False):
        assert line.startswith(f"{rule.title} ")
        assert " holds " in line
    assert lines[-1].strip() == f"nothing voids the comparison ({len(RULES)} holds)"


def test_a_broken_rule_is_spelled_out_with_exit_code_1(run: Run, engine: Engine) -> None:
    fill(engine)
    change(engine, "UPDATE sweeper.bracket SET planned_steps = 999 WHERE study_id = 2")
    result = run("audit", "demo")
    assert result.exit_code == 1
    assert "broken           kd: bracket 0 was allowed 999 steps, not 640" in result.output
    assert "rule 3 budget: Every compared search has the same whole brackets" in result.output
    assert "void: broken is 3 budget; nothing may be claimed from demo" in result.output


def test_programs_get_every_finding_and_the_stamps(run: Run, engine: Engine) -> None:
    fill(engine)
    change(engine, "UPDATE sweeper.artifact SET origin = '/elsewhere.pt'")
    result = run("audit", "demo", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["sweep"], found["is_void"]) == (0, "demo", False)
    assert found["stamps"] == ["teacher from a file"]
    assert [each["rule"] for each in found["findings"]] == [rule.number for rule in RULES]
    assert all(each["text"].endswith(".") for each in found["findings"])


def test_before_a_confirmation_its_rules_are_not_checked_yet(run: Run, engine: Engine) -> None:
    fill(engine)
    result = run("audit", "demo", "--json")
    open_ = {name for name, state in states(result).items() if state == "not checked yet"}
    of_runs = {"published and tuned", "fresh seeds", "declared numbers", "one reading"}
    assert open_ == of_runs | {"incumbents", "stages", "teacher's lead"}
    assert "no confirmation yet: sweeper confirm demo" in run("audit", "demo").output


def test_a_confirmation_with_runs_left_is_not_checked_yet(run: Run, engine: Engine) -> None:
    fill(engine)
    confirm(engine, {"baseline": [41.0, 41.5], "kd": [43.0, 42.0]})
    change(engine, "UPDATE sweeper.trial SET state = 'RUNNING' WHERE study_id = 5 AND number = 3")
    change(engine, "DELETE FROM sweeper.confusion WHERE study_id = 5 AND number = 3")
    result = run("audit", "demo", "--json")
    assert result.exit_code == 0
    assert states(result)["declared numbers"] == "not checked yet"
    assert "1 of 8 confirmations are still to run" in run("audit", "demo").output


def test_an_unfinished_search_breaks_nothing(run: Run, engine: Engine) -> None:
    fill(engine)
    leave_in_flight(engine, 2)
    change(engine, "DELETE FROM sweeper.trial WHERE study_id = 1 AND number >= 8")
    result = run("audit", "demo", "--json")
    assert (result.exit_code, states(result)["budget"]) == (0, "holds")
    change(engine, "DELETE FROM sweeper.trial WHERE study_id = 1")
    result = run("audit", "demo", "--json")
    assert (result.exit_code, states(result)["budget"]) == (0, "not checked yet")
    assert "baseline 0 of 16" in run("audit", "demo").output


def test_a_sweep_that_has_only_been_declared_has_nothing_to_check(run: Run, engine: Engine) -> None:
    fill(engine)
    for table in ("trial", "bracket", "segment", "event"):
        change(engine, f"DELETE FROM sweeper.{table}")
    change(engine, "UPDATE sweeper.study SET calibration = NULL")
    change(engine, "UPDATE sweeper.sweep SET teacher_hash = NULL")
    result = run("audit", "demo", "--json")
    assert result.exit_code == 0
    holding = {name for name, state in states(result).items() if state == "holds"}
    frozen = {"baseline", "protocol", "dimensions", "records", "deletions", "terms", "log"}
    assert holding == frozen | {"other readings"}


def test_a_missing_baseline_can_still_be_added(run: Run, engine: Engine) -> None:
    fill(engine, methods=("kd",))
    result = run("audit", "demo", "--json")
    assert (result.exit_code, states(result)["baseline"]) == (0, "not checked yet")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dmo", "no sweep 'dmo'; did you mean 'demo'"),
        ("demo:confirm-1", "audited with the sweep it confirms: sweeper audit demo"),
    ],
)
def test_what_cannot_be_audited_is_one_line(name: str, said: str, run: Run, engine: Engine) -> None:
    fill(engine)
    confirm(engine, {"baseline": [41.0, 41.5], "kd": [43.0, 42.0]})
    result = run("audit", name)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_audit_loads_nothing_that_trains(sound_url: str) -> None:
    assert loaded({"torch", "ray"}, sound_url, "audit", "demo") == ""
