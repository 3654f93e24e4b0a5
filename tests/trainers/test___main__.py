"""`python -m trainers`: one configuration, trained as a sweep would train it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from tests.miniature import leave_out_class_0, write_miniature
from tests.trainers.tiny_task import members, segment
from trainers.__main__ import main, parse_settings
from trainers.errors import MethodError
from trainers.tasks import load_task
from trainers.training.checkpoints import read
from trainers.training.cohort import Trainer

TASK_FILE = """
description = "For tests."
[data]
reader = "shapes"
size = [32, 40]
options = { seed = 1, train = 10, selection = 5, test = 1 }
[augmentation]
crop = [32, 32]
[student]
backbone = "mobilenet_v2"
backbone_width = 0.25
output_stride = 16
head_width = 8
[teacher.net]
backbone = "mobilenet_v2"
backbone_width = 0.25
output_stride = 16
head_width = 12
[teacher.schedule]
steps = 2
image_batch = 3
learning_rate = 0.02
[schedule]
steps = 6
image_batch = 3
learning_rate = 0.02
[search]
rungs = ["1/3", 1]
keep = [16, 6]
"""


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(TASK_FILE)
    return file


def run(task: Path | str, *arguments: str, output: Path) -> Result:
    return CliRunner().invoke(main, ["--task", str(task), "--output", str(output), *arguments])


def test_a_run_by_hand_equals_the_trial_of_a_sweep(task_file: Path, tmp_path: Path) -> None:
    result = run(task_file, "--method", "kd", "--set", "lr=0.05", "--seed", "4", output=tmp_path)
    assert result.exit_code == 0, result.output
    [weights] = re.findall(r"weights: (.*student.*)", result.output)
    [teacher] = (tmp_path / "teachers").glob("*/teacher.*.pt")
    trial = segment(
        tmp_path / "sweep",
        members("kd", learning_rate=0.05),
        task=load_task(task_file),
        seed=4,
        teacher=teacher,
    )
    [expected] = Trainer().run(trial).members
    assert f"mIoU {expected.score:.2f} %" in result.output
    assert hash_in(Path(weights)) == expected.weights_hash


def hash_in(file: Path) -> object:
    return read(file)["weights_hash"]


def test_a_teacher_is_trained_once_and_used_again(task_file: Path, tmp_path: Path) -> None:
    first = run(task_file, "--method", "kd", output=tmp_path)
    second = run(task_file, "--method", "rdd", "--steps", "3", output=tmp_path)
    assert "it is trained first" in first.output
    assert "it is trained first" not in second.output
    assert "teacher: " in second.output


def test_the_same_run_again_asks_for_resume(task_file: Path, tmp_path: Path) -> None:
    first = run(task_file, output=tmp_path)
    again = run(task_file, output=tmp_path)
    resumed = run(task_file, "--resume", output=tmp_path)
    assert (first.exit_code, again.exit_code, resumed.exit_code) == (0, 2, 0)
    assert "give --resume" in again.output
    assert first.output.splitlines()[-3:] == resumed.output.splitlines()[-3:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "kdd"], "no method 'kdd'; did you mean 'kd'?"),
        (["--set", "lrr=1"], "no hyperparameter 'lrr'"),
        (["--set", "lr"], "--set must be NAME=VALUE, got 'lr'"),
        (["--set", "lr=nan"], "learning_rate must be a finite number"),
        (["--set", "lr=-1"], "learning_rate: "),
        (["--device", "abacus"], "no device 'abacus' here; there is cpu"),
        (["--method", "kd", "--teacher", "nowhere.pt"], "nowhere.pt: cannot be read"),
    ],
)
def test_bad_input_is_answered_in_one_line(
    arguments: list[str], words: str, task_file: Path, tmp_path: Path
) -> None:
    result = run(task_file, *arguments, output=tmp_path / "runs")
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_seed_is_no_negative_number(task_file: Path, tmp_path: Path) -> None:
    result = run(task_file, "--seed", "-1", output=tmp_path)
    assert result.exit_code == 2
    assert "-1 is not in the range x>=0" in result.stderr


def test_another_teacher_is_another_run(task_file: Path, tmp_path: Path) -> None:
    run(task_file, "--method", "kd", "--steps", "1", output=tmp_path)
    [file] = (tmp_path / "teachers").glob("*/teacher.*.pt")
    content = read(file)
    content["student"]["classifier.bias"] += 1
    torch.save(content, tmp_path / "other.pt")
    for teacher in (file, tmp_path / "other.pt"):
        arguments = ["--method", "kd", "--steps", "1", "--teacher", str(teacher)]
        assert run(task_file, *arguments, output=tmp_path).exit_code == 0
    assert len(list(tmp_path.glob("small-kd-*"))) == 3


def test_an_unknown_task_is_answered_with_the_nearest(tmp_path: Path) -> None:
    result = run("shpes", output=tmp_path)
    assert result.exit_code == 2
    assert result.stderr == "error: no task 'shpes'; did you mean 'shapes'?\n"


def test_a_run_that_diverges_says_so_and_has_no_result(task_file: Path, tmp_path: Path) -> None:
    result = run(task_file, "--set", "lr=1e6", output=tmp_path)
    assert result.exit_code == 1
    assert "diverged at step" in result.output


@pytest.mark.parametrize(
    ("settings", "params"),
    [
        (("lr=0.01",), {"learning_rate": 0.01}),
        (("learning_rate = 1e-3", "temperature=4"), {"learning_rate": 0.001, "temperature": 4}),
        (("blend=linear",), {"blend": "linear"}),
    ],
)
def test_settings_are_numbers_where_they_can_be(
    settings: tuple[str, ...], params: dict[str, object]
) -> None:
    assert parse_settings(settings) == params


def test_a_setting_given_twice_is_refused() -> None:
    with pytest.raises(MethodError, match="learning_rate is given twice"):
        parse_settings(("lr=1", "learning_rate=2"))


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from trainers.__main__ import main; main(['--help'], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "camvid-tiny" in done.stdout and "rdd" in done.stdout


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    task_file: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-u", "-m", "trainers", "--task", str(task_file)]
    command += ["--steps", "30", "--output", str(tmp_path / "cut")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    assert "steps 0 to 30" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "finishing the running step" in output and "--resume goes on" in output
    rest = run(task_file, "--steps", "30", "--resume", output=tmp_path / "cut")
    whole = run(task_file, "--steps", "30", output=tmp_path / "whole")
    assert rest.exit_code == whole.exit_code == 0
    hashes = {str(hash_in(file)) for file in tmp_path.glob("*/small-*/*.pt")}
    assert len(hashes) == 1


def test_what_looks_wrong_about_the_data_is_said_once(tmp_path: Path) -> None:
    task, root = tmp_path / "mini.toml", write_miniature(tmp_path / "miniature")
    shapes = TASK_FILE[TASK_FILE.index("reader") : TASK_FILE.index("[augmentation]")]
    task.write_text(TASK_FILE.replace(shapes, 'reader = "camvid"\nsize = [32, 40]\n'))
    leave_out_class_0(root)
    result = run(task, "--method", "kd", "--data-root", str(root), output=tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("warning: labels look numbered from 1") == 1
    assert "warning" not in result.stdout
