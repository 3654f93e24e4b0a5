"""`sweeper status` says what is there, what is missing and what is wrong."""

from __future__ import annotations

import json

from sqlalchemy import Engine, text

from sweeper.scheduler.lease import Lease, acquire
from tests.sweeper.cli.conftest import Run
from tests.sweeper.synthetic import BEST, COMMAND, fill, leave_in_flight


def change(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_an_empty_store_names_the_command_that_fills_it(run: Run) -> None:
    assert "sweeper launch" in run("status").output


def test_a_finished_sweep_is_done_and_counts_every_state(look: Run) -> None:
    lines = look("status", "demo").output.splitlines()
    assert lines[1].strip() == "done"
    row = next(line.split() for line in lines if line.startswith("kd"))
    assert row == ["kd", "16", "16", "10", "4", "1", "1", "0", "41.16", f"#{BEST}"]


def test_a_sweep_without_a_driver_names_the_command_that_goes_on(run: Run, demo: Engine) -> None:
    change(demo, "UPDATE sweeper.study SET budget = 24 WHERE method = 'kd'")
    assert f"interrupted: go on with `{COMMAND}`" in run("status").output


def test_a_driven_sweep_names_its_driver(run: Run, demo: Engine) -> None:
    assert isinstance(acquire(demo, 1), Lease)
    assert "driven by " in run("status").output


def test_a_segment_in_flight_says_where_it_is(run: Run, demo: Engine) -> None:
    leave_in_flight(demo, study_id=2)
    output = run("status").output
    assert "steps 26 to 80, at 33" in output
    assert "demo/kd#15" in output


def test_a_blocked_method_says_why(run: Run, demo: Engine) -> None:
    change(demo, "UPDATE sweeper.study SET state = 'blocked', reason = 'x' WHERE id = 2")
    assert "kd blocked: x" in run("status").output


def test_a_missing_baseline_comes_with_the_command_that_adds_it(run: Run, engine: Engine) -> None:
    fill(engine, methods=("kd",))
    added = "sweeper launch --sweep demo --task shapes --method baseline --budget 16"
    assert added in run("status").output


def test_a_bracket_on_two_devices_is_a_warning(run: Run, demo: Engine) -> None:
    change(demo, "UPDATE sweeper.segment SET device_name = 'B' WHERE id = 1")
    assert "bracket 0 of baseline was judged on different devices" in run("status").output


def test_the_log_of_a_sweep_is_named(look: Run) -> None:
    assert "log: /checkpoints/demo/logs/sweep.jsonl" in look("status", "demo").output


def test_a_sweep_without_a_segment_names_its_log_by_its_launch(run: Run, demo: Engine) -> None:
    change(demo, "DELETE FROM sweeper.segment")
    change(demo, """UPDATE sweeper.launch SET provenance = '{"checkpoints": "/elsewhere"}'""")
    assert "log: /elsewhere/demo/logs/sweep.jsonl" in run("status", "demo").output


def test_programs_get_the_same_as_json(look: Run) -> None:
    [overview] = json.loads(look("status", "--json").stdout)
    assert (overview["state"], overview["in_flight"]) == ("done", [])
    assert [study["best_trial"] for study in overview["studies"]] == [BEST] * 3


def test_an_unknown_sweep_gets_the_nearest_name(look: Run) -> None:
    result = look("status", "dmo")
    assert (result.exit_code, result.stderr) == (2, "error: no sweep 'dmo'; did you mean 'demo'?\n")
