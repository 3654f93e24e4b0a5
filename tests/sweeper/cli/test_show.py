"""`sweeper show` tells everything of a trial, and hands out its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sqlalchemy import Engine, text

from tests.sweeper.cli.conftest import Run
from tests.sweeper.synthetic import score_of
from trainers.runtime.torch_files import write
from trainers.training.checkpoints import read_ours, weights_hash

WEIGHTS = {"head.weight": torch.arange(6.0).reshape(2, 3)}


@pytest.fixture
def with_checkpoint(demo: Engine, tmp_path: Path) -> Callable[[dict[str, torch.Tensor]], Path]:
    """Return a writer of demo/kd#3's checkpoint; its evaluated weights are WEIGHTS."""

    def write(weights: dict[str, torch.Tensor]) -> Path:
        file = tmp_path / "checkpoints" / "demo" / "segment" / "kd-3.pt"
        file.parent.mkdir(parents=True)
        torch.save({"student": weights}, file)
        statement = "UPDATE sweeper.rung SET weights_hash = :hash WHERE study_id = 2 AND number = 3"
        with demo.begin() as connection:
            connection.execute(text(statement), {"hash": weights_hash(WEIGHTS)})
        return file

    return write


def test_a_sweep_and_a_method_are_summarised(look: Run) -> None:
    assert "more: sweeper show demo/kd#1" in look("show", "demo").output
    method = look("show", "demo/baseline").output
    assert "learning_rate" in method
    assert "kd" not in method


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("demo/kf", "no method 'demo/kf'; did you mean 'demo/kd'?"),
        ("demo/kd@2", "no method 'demo/kd@2'; did you mean 'demo/kd'?"),
        ("demo/kd#16", "no trial #16 of kd: there are #0 to #15"),
        ("domo", "no sweep 'domo'; did you mean 'demo'?"),
        ("demo kd", "'demo kd' is no name of a sweep, method or trial"),
    ],
)
def test_a_name_that_is_not_there_is_one_line(look: Run, name: str, hint: str) -> None:
    result = look("show", name)
    assert result.exit_code == 2
    assert hint in result.stderr
    assert result.stderr.count("\n") == 1


def test_exported_weights_come_with_what_they_are(
    run: Run, with_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    with_checkpoint(WEIGHTS)
    assert run("show", "demo/kd#3", "--export", "kd.pt").exit_code == 0
    content = torch.load(tmp_path / "kd.pt", weights_only=True)
    assert torch.equal(content["weights"]["head.weight"], WEIGHTS["head.weight"])
    assert (content["task"], content["method"], content["score"]) == (
        "shapes",
        "kd",
        score_of("kd", 3, 80),
    )
    assert content["weights_hash"] == weights_hash(content["weights"])


def test_an_export_replaces_a_file_only_with_force(
    run: Run, with_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    with_checkpoint(WEIGHTS)
    (tmp_path / "kd.pt").write_text("mine")
    assert "--force" in run("show", "demo/kd#3", "--export", "kd.pt").stderr
    assert (tmp_path / "kd.pt").read_text() == "mine"
    assert run("show", "demo/kd#3", "--export", "kd.pt", "--force").exit_code == 0


def test_weights_other_than_the_evaluated_ones_are_not_exported(
    run: Run, with_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    with_checkpoint({"head.weight": torch.zeros(2, 3)})
    result = run("show", "demo/kd#3", "--export", "kd.pt")
    assert (result.exit_code, (tmp_path / "kd.pt").exists()) == (2, False)


@pytest.mark.parametrize("content", [b"", b"text", None], ids=["empty", "text", "one bit"])
def test_of_a_damaged_checkpoint_nothing_is_exported(
    content: bytes | None, run: Run, with_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    file = with_checkpoint(WEIGHTS)
    write(file, {"student": WEIGHTS, "optimizer": {"state": torch.ones(1000)}})
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1  # of the optimiser: the weights alone would pass
    file.write_bytes(whole if content is None else content)
    result = run("show", "demo/kd#3", "--export", "kd.pt")
    assert (result.exit_code, (tmp_path / "kd.pt").exists()) == (2, False)
    assert result.stderr.count("\n") == 1
    assert str(file) in result.stderr


def test_exported_weights_are_bound_by_a_digest(
    run: Run, with_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    with_checkpoint(WEIGHTS)
    run("show", "demo/kd#3", "--export", "kd.pt")
    assert read_ours(tmp_path / "kd.pt")["method"] == "kd"
    assert [file.name for file in tmp_path.glob("*kd.pt*")] == ["kd.pt"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("demo/kd#8", "is PRUNED"), ("demo/kd#5", "is diverged"), ("demo", "no weights of its own")],
)
def test_only_a_complete_trial_has_weights(look: Run, name: str, hint: str) -> None:
    result = look("show", name, "--export", "x.pt")
    assert result.exit_code == 2
    assert hint in result.stderr
