"""What looks wrong about the data is said when it is launched, and kept with the launch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.miniature import leave_out_class_0, write_miniature

TASK = """
description = "For tests."
[data]
reader = "camvid"
size = [24, 32]
[augmentation]
crop = [24, 32]
[student]
backbone = "mobilenet_v2"
backbone_width = 0.25
output_stride = 16
head_width = 8
[schedule]
steps = 2
image_batch = 3
learning_rate = 0.02
[search]
rungs = ["1/2", 1]
bracket = 2
keep = [2, 1]
anchors = 1
"""
WARNINGS = [
    "warning: train: none of its 15 labels has a pixel of sky (0)",
    "warning: selection: none of its 6 labels has a pixel of sky (0)",
    "warning: labels look numbered from 1: value 0 has 0 % of the pixels, and every other class "
    "has more; here classes are 0 to 10, and 0 is sky",
]


@pytest.mark.parametrize(("spoil", "said"), [(True, WARNINGS), (False, [])])
def test_a_launch_says_what_looks_wrong_once(
    run: Callable[..., Result], tmp_path: Path, spoil: bool, said: list[str]
) -> None:
    task, root = tmp_path / "mini.toml", write_miniature(tmp_path / "miniature")
    task.write_text(TASK)
    if spoil:
        leave_out_class_0(root)
    data = ("--task", str(task), "--data-root", str(root))
    launched = run("launch", *data, "--method", "baseline", "--budget", "2", "--device", "cpu")
    assert launched.exit_code == 0, launched.output
    lines = [line for line in launched.stderr.splitlines() if line.startswith("warning")]
    assert lines == said
    assert "warning" not in launched.stdout
    assert ("Warning: labels look numbered from 1" in run("status").output) is spoil
