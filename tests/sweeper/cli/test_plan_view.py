"""`sweeper plan` before a sweep and on its way; a launch's dry run says the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sweeper.confirmation.stage import Confirmation, Reported, declare_stage
from tests.sweeper.cli.conftest import Run
from tests.sweeper.confirmed import confirm, declare_axes_of
from tests.sweeper.driving import WHO
from tests.sweeper.processes import loaded
from tests.sweeper.synthetic import leave_in_flight

TINY = Path(__file__).parents[1] / "tasks" / "tiny.toml"
SHAPES = ("plan", "--task", "shapes")
BASELINE = (*SHAPES, "--method", "baseline")
NEEDLESS = {"torch", "ray", "pandas", "optuna"}


def row(output: str, name: str) -> list[str]:
    """Return the cells of the table's row of that name."""
    line = next(line for line in output.splitlines() if line.startswith(f"{name}  "))
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_the_log_says_how_long_a_launch_will_take(look: Run) -> None:
    """Student steps took 0.1 s: 640 steps of the first bracket and 370 of the second."""
    output = look(*BASELINE, "--budget", "16", "--workers", "4").output
    assert row(output, "baseline")[1:3] == ["100.00", "100.00"]
    assert row(output, "baseline")[3].startswith("log, processor A: ")
    assert row(output, "search") == ["search", "16", "1,010", "0.03", "1 min 41 s", "27 s", "16 s"]
    assert row(output, "confirmation")[:3] == ["confirmation", "60", "4,800"]
    assert "in later brackets 8 to step 26, 3 to step 80 can train side by side" in output
    assert "no method beside the baseline" in output


def test_of_a_finished_sweep_the_confirmation_is_left(look: Run) -> None:
    output = look("plan", "demo").output
    assert "3 searches, 0 trials to train" in output
    assert row(output, "search")[1:3] == ["0", "0"]
    assert row(output, "confirmation")[1:3] == ["100", "8,000"]
    assert "sd of a seed 0.40, assumed" in output


def test_what_is_under_way_and_what_is_not_begun_is_left(run: Run, demo: Engine) -> None:
    leave_in_flight(demo, study_id=2)
    with demo.begin() as connection:
        connection.execute(text("UPDATE sweeper.study SET budget = 24 WHERE method = 'rdd'"))
    assert row(run("plan", "demo").output, "search")[1:3] == ["9", f"{54 + 370}"]


def test_more_seeds_cost_more_and_show_more(look: Run) -> None:
    output = look("plan", "demo", "--seeds", "20", "--baseline-seeds", "60").output
    assert row(output, "confirmation")[1] == str(60 * 2 + 20 * 4)
    assert "20 seeds a configuration, the baseline's 60" in output


def test_confirmations_say_how_noisy_seeds_are_and_what_is_left(run: Run, demo: Engine) -> None:
    confirm(demo, {"baseline": [40.0, 42.0, 41.0], "kd": [41.0, 43.0, 42.0], "rdd": [40, 42, 41]})
    output = run("plan", "demo").output
    assert "sd of a seed 1.00, of 18 confirmations of this task" in output
    assert "3 seeds a configuration, the baseline's 3" in output
    assert row(output, "confirmation")[1] == "0"


def test_of_a_declared_confirmation_its_own_runs_are_left(run: Run, demo: Engine) -> None:
    wanted = Confirmation(sweep="demo", seeds=2, baseline_seeds=3)
    reported = Reported(fingerprint="data", blocks=("drive",), classes=("road", "car", "sky"))
    declare_stage(demo, wanted, reported, WHO)
    output = run("plan", "demo", "--workers", "100").output
    assert row(output, "confirmation") == [
        "confirmation",
        "14",
        "1,120",
        "0.03",
        "1 min 52 s",
        "8 s",
    ]
    assert "2 seeds a configuration, the baseline's 3" in output


def test_equal_cost_that_is_declared_is_left_too(run: Run, demo: Engine) -> None:
    values = {"baseline": [40.0, 42.0], "kd": [41.0, 43.0]}
    confirm(demo, values)
    declare_axes_of(demo, {"baseline": 1.0, "kd": 1.0})
    output = run("plan", "demo").output
    assert row(output, "confirmation")[1:3] == ["8", f"{2 * 2 * (120 + 160):,}"]


def test_a_confirmation_is_not_planned_by_itself(run: Run, demo: Engine) -> None:
    confirm(demo, {"baseline": [40.0, 42.0], "kd": [41.0, 43.0]})
    result = run("plan", "demo:confirm-1")
    assert result.exit_code == 2
    assert "name the sweep it belongs to: demo" in result.stderr


def test_what_was_never_trained_is_measured(run: Run) -> None:
    chosen = ("--method", "baseline", "--method", "kd", "--method", "cirkd")
    result = run("plan", "--task", str(TINY), *chosen, "--budget", "4", "--device", "cpu")
    assert row(result.output, "baseline")[-1].startswith("measured now")
    assert "(search_spaces/measured.toml)" in row(result.output, "cirkd")[-1]
    assert row(result.output, "teacher, calibration")[2] == str(6 + 4)
    assert row(result.output, "search")[2] == str(3 * (2 * 12 + 2 * 4 + 1 * 8))
    assert "Holm over 2 methods" in result.output


def test_a_dry_run_says_the_same_and_stores_no_sweep(run: Run, demo: Engine) -> None:
    launch = ("--task", "shapes", "--method", "baseline", "--budget", "16")
    shown = run("launch", *launch, "--sweep", "other", "--dry-run").output
    assert shown.startswith("search spaces")
    assert shown.endswith(run("plan", *launch).output)
    with demo.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sweeper.sweep")) == 1


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("plan",), "name a SWEEP"),
        (("plan", "dmo"), "did you mean 'demo'?"),
        (("plan", "demo", "--budget", "16", "--all"), "--all, --budget: sweep demo has its own"),
        (("plan", "demo", "--workers", "0"), "--workers"),
        (("plan", "demo", "--seeds", "1"), "--seeds"),
        ((*BASELINE, "--budget", "20"), "use 16 or 24"),
        (BASELINE, "no budget given"),
        ((*BASELINE, "--budget", "8", "--repeats", "0"), "at least one search"),
        ((*SHAPES, "--method", "kdd", "--budget", "8"), "did you mean 'kd'?"),
        (("plan", "--task", "shape", "--all", "--budget", "8"), "did you mean 'shapes'?"),
    ],
)
def test_what_cannot_be_planned_is_one_line(
    look: Run, arguments: tuple[str, ...], hint: str
) -> None:
    result = look(*arguments)
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert hint in result.stderr


def test_what_is_left_of_a_sweep_is_said_without_torch(demo_url: str) -> None:
    assert loaded(NEEDLESS, demo_url, "plan", "demo") == ""
