"""What `sweeper show` prints of one trial."""

from __future__ import annotations

import shlex

from sweeper.search.seeds import training_seed
from tests.sweeper.cli.conftest import Run
from tests.sweeper.synthetic import score_of, space_of
from trainers.__main__ import parse_settings


def test_a_trial_shows_values_curve_cost_and_events(look: Run) -> None:
    output = look("show", "demo/kd#10").output
    for part in (
        f"COMPLETE, mIoU {score_of('kd', 10, 80):.2f}",
        "pixel_kl=",
        "processor A",
        "promoted=[10, 12, 14]",
    ):
        assert part in output
    assert "█" in output


def test_a_trial_names_the_logs_of_the_segments_that_trained_it(look: Run) -> None:
    output = look("show", "demo/baseline#0").output
    logs = [f"log of segment {n}: /checkpoints/demo/logs/segment-{n}.jsonl" for n in (1, 2)]
    assert [line for line in output.splitlines() if line.startswith("log of")] == logs


def test_the_printed_command_repeats_the_trial_to_the_digit(look: Run) -> None:
    words = shlex.split(look("show", "demo/kd#0").stdout.splitlines()[-1])
    settings = [word for before, word in zip(words, words[1:], strict=False) if before == "--set"]
    assert parse_settings(tuple(settings)) == space_of("kd").published
    assert words[words.index("--seed") + 1] == str(training_seed(7, 1))


def test_a_failed_trial_shows_its_reason(look: Run) -> None:
    assert "reason: ValueError: no teacher\nTraceback" in look("show", "demo/kd#9").output
