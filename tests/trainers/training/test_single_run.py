"""One configuration from the first step to the last, whatever becomes of its checkpoints."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.trainers.tiny_task import TASK, StopAfter, digits, flipped
from trainers.errors import CheckpointError
from trainers.runtime.torch_files import write
from trainers.training.checkpoints import latest, read, stored
from trainers.training.cohort import Trainer
from trainers.training.segment import (
    MAX_DAMAGES,
    Control,
    Outcome,
    Segment,
)
from trainers.training.single_run import Configuration, train


def configuration(folder: Path) -> Configuration:
    return Configuration(task=TASK, method="baseline", params={}, seed=3, folder=folder)


def test_a_training_goes_on_from_an_earlier_checkpoint_where_the_last_is_damaged(
    trainer: Trainer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = train(configuration(tmp_path / "whole"), trainer, Control())
    here = configuration(tmp_path / "here")
    train(here, trainer, StopAfter(2))
    [early] = stored(here.folder, here.key)
    kept = early.read_bytes()
    train(here, trainer, StopAfter(2))
    early.write_bytes(kept)
    _, last = stored(here.folder, here.key)
    last.write_bytes(flipped(last.read_bytes(), random.Random(5)))
    assert latest(here.folder, here.key) == (2, early)
    assert f"{last}: damaged" in caplog.text
    assert digits(train(here, trainer, Control())) == digits(whole)
    assert len(stored(here.folder, here.key)) == 1


def test_a_training_begins_again_where_its_checkpoint_is_anothers(
    trainer: Trainer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = train(configuration(tmp_path / "whole"), trainer, Control())
    here = configuration(tmp_path / "here")
    train(here, trainer, StopAfter(2))
    [file] = stored(here.folder, here.key)
    write(file, read(file) | {"owner": {}})
    assert digits(train(here, trainer, Control())) == digits(whole)
    assert "belongs to something else" in caplog.text


def test_a_disk_that_damages_everything_ends_the_training_in_one_line(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Damaging(Trainer):
        def run(self, segment: Segment, control: Control | None = None) -> Outcome:
            outcome = trainer.run(segment, control)
            for member in outcome.members:
                if member.checkpoint is not None:
                    member.checkpoint.write_bytes(b"")
            return outcome

    monkeypatch.setattr("trainers.training.single_run.CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(CheckpointError, match=f"the {MAX_DAMAGES + 1}th checkpoint") as raised:
        train(configuration(tmp_path), Damaging(), Control())
    assert str(tmp_path) in str(raised.value)
