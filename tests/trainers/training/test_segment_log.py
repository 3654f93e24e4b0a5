"""What a segment's log says of its training, and that it changes nothing."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import trainers.training.member
from tests.trainers.tiny_task import STEPS, digits, members, segment
from trainers.method_api import registry
from trainers.method_api.loading import load_method
from trainers.method_api.method import Method, Step
from trainers.methods.baseline import Baseline
from trainers.training.cohort import Trainer

MIDDLE = 0.5


class Raising(Baseline):
    """Raises in the middle of the training."""

    def losses(self, step: Step) -> dict[str, Tensor]:
        if step.progress >= MIDDLE:
            raise ZeroDivisionError("half of nothing")
        return {}


class Warns(Baseline):
    """Warns at every step, always from one line."""

    def losses(self, step: Step) -> dict[str, Tensor]:
        warnings.warn(f"so far {step.progress}", UserWarning, stacklevel=1)
        return {}


class Large(Baseline):
    """Does not fit."""

    def losses(self, step: Step) -> dict[str, Tensor]:
        raise torch.OutOfMemoryError(f"7 GiB at {step.progress}")


STRANGE: dict[str, type[Method]] = {"raising": Raising, "warning": Warns, "large": Large}


@pytest.fixture(autouse=True)
def strange_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let members be of the methods above, which have no files."""
    monkeypatch.setattr(
        trainers.training.member, "load_method", lambda name: STRANGE.get(name) or load_method(name)
    )
    monkeypatch.setattr(
        trainers.training.member,
        "resolve",
        lambda name, params: {} if name in STRANGE else registry.resolve(name, params),
    )


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def log_of(folder: Path, *names: str) -> list[dict[str, Any]]:
    """Train members of these methods and return what the segment's log says."""
    file = folder / "logs" / "segment-1.jsonl"
    Trainer().run(segment(folder / "segment-1", members(*names), log=file))
    return lines_of(file)


def test_a_log_tells_where_and_what_was_trained_and_changes_nothing(tmp_path: Path) -> None:
    silent = Trainer().run(segment(tmp_path / "silent", members("baseline")))
    file = tmp_path / "log.jsonl"
    told = Trainer().run(segment(tmp_path / "told", members("baseline"), log=file))
    assert digits(told.members[0]) == digits(silent.members[0])
    first, *middle, last = lines_of(file)
    assert first["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert first["members"][0]["key"] == "tiny/baseline#0"
    losses = [(line["step"], line["loss"]) for line in middle if line["event"] == "loss"]
    assert tuple(losses) == silent.members[0].losses
    assert (last["event"], last["reached"], last["interrupted"]) == ("segment ended", STEPS, False)


def test_a_method_that_raises_is_there_with_its_traceback(tmp_path: Path) -> None:
    ends = [line for line in log_of(tmp_path, "raising", "baseline") if "ending" in line]
    failed = next(line for line in ends if line["ending"] == "failed")
    assert failed["member"] == "tiny/raising#0"
    assert failed["reason"].startswith("ZeroDivisionError: half of nothing")
    assert "in losses" in failed["reason"]


def test_a_warning_is_there_once_and_not_on_the_console(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        lines = log_of(tmp_path, "warning")
    [warned] = [line for line in lines if line["event"] == "python warns"]
    assert (warned["category"], warned["text"]) == ("UserWarning", "so far 0.0")
    assert "so far" not in capsys.readouterr().err


def test_memory_that_does_not_suffice_is_there(tmp_path: Path) -> None:
    notes = [line["text"] for line in log_of(tmp_path, "large", "baseline") if "text" in line]
    assert notes[0] == "out of memory: split 2 into 1 + 1"
    assert "does not fit alone" in notes[1]


def test_a_segment_that_breaks_off_says_why(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    with pytest.raises(RuntimeError, match="device"):
        Trainer().run(segment(tmp_path, members("baseline"), log=file, device="no device"))
    last = lines_of(file)[-1]
    assert (last["event"], "RuntimeError" in last["traceback"]) == ("segment broke off", True)
