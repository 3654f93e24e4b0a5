"""Teachers: trained once, resumed, found again, taken from files."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.core.errors import ProtocolMismatch, SweeperError
from sweeper.prerequisites.artifact_cache import Interrupted, find_artifact
from sweeper.prerequisites.teacher import (
    TeacherContext,
    adopt_teacher,
    ensure_teacher,
    freeze_teacher,
)
from sweeper.scheduler.driver_config import DriverConfig
from sweeper.store.database import Store
from tests.sweeper.driving import open_sweep
from trainers.errors import CheckpointError
from trainers.tasks import load_task
from trainers.training.cohort import Trainer

TASK = load_task(Path(__file__).parents[1] / "tasks" / "tiny.toml")


def _context(store: Store, folder: Path, trainer: Trainer) -> TeacherContext:
    return TeacherContext(
        engine=store.engine,
        task=TASK,
        fingerprint=trainer.dataset(TASK.data, None).fingerprint,
        driver_config=DriverConfig(checkpoints=folder),
        stop=threading.Event(),
        announce=[].append,
    )


def test_a_teacher_is_trained_once_and_found_again(store: Store, tmp_path: Path) -> None:
    trainer = Trainer()
    context = _context(store, tmp_path, trainer)
    teacher = ensure_teacher(context, trainer)
    written = teacher.path.stat().st_mtime_ns
    assert ensure_teacher(context, trainer) == teacher
    assert teacher.path.stat().st_mtime_ns == written
    assert 0 < teacher.score < 100


def test_an_interrupted_teacher_goes_on_to_the_same_weights(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    trainer = Trainer()
    context = _context(store, tmp_path / "a", trainer)
    context.stop.set()
    with pytest.raises(Interrupted, match="step 1 of the teacher's 6"):
        ensure_teacher(context, trainer)
    resumed = ensure_teacher(replace(context, stop=threading.Event()), trainer)
    undisturbed = ensure_teacher(_context(other_store, tmp_path / "b", trainer), trainer)
    assert resumed.weights_hash == undisturbed.weights_hash
    assert resumed.score == undisturbed.score


def test_a_teacher_can_be_taken_from_a_file(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    trainer = Trainer()
    trained = ensure_teacher(_context(store, tmp_path / "a", trainer), trainer)
    context = _context(other_store, tmp_path / "b", trainer)
    adopted = adopt_teacher(context, trainer, trained.path)
    assert (adopted.weights_hash, adopted.score) == (trained.weights_hash, trained.score)
    assert adopted.origin == str(trained.path)
    found = find_artifact(other_store.engine, context.hash)
    assert found is not None and vars(found) == vars(adopted)
    again = tmp_path / "again.pt"
    shutil.copyfile(trained.path, again)
    assert adopt_teacher(context, trainer, again).origin == adopted.origin


def test_a_file_that_is_no_teacher_of_the_task_is_refused(store: Store, tmp_path: Path) -> None:
    trainer = Trainer()
    file = tmp_path / "other.pt"
    file.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="other.pt"):
        adopt_teacher(_context(store, tmp_path, trainer), trainer, file)


def test_a_second_teacher_of_a_task_is_refused(store: Store, tmp_path: Path) -> None:
    trainer = Trainer()
    context = _context(store, tmp_path / "a", trainer)
    teacher = ensure_teacher(context, trainer)
    longer = TASK.model_copy(
        update={
            "teacher": TASK.teacher.model_copy(
                update={
                    "schedule": TASK.teacher.schedule.model_copy(update={"learning_rate": 0.001})
                }
            )
        }
    )
    other = ensure_teacher(replace(context, task=longer), trainer)
    assert other.weights_hash != teacher.weights_hash
    with pytest.raises(SweeperError, match="has a teacher already"):
        adopt_teacher(context, trainer, other.path)


def test_a_sweep_keeps_the_teacher_it_began_with(store: Store, tmp_path: Path) -> None:
    trainer = Trainer()
    teacher = ensure_teacher(_context(store, tmp_path / "a", trainer), trainer)
    sweep = open_sweep(store, tmp_path / "b")
    freeze_teacher(store.engine, sweep.id, teacher)
    freeze_teacher(store.engine, sweep.id, teacher)
    with pytest.raises(ProtocolMismatch, match="another --sweep"):
        freeze_teacher(store.engine, sweep.id, replace(teacher, weights_hash="other"))


def test_a_teacher_whose_file_is_damaged_is_trained_again_to_the_same_weights(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = Trainer()
    context = _context(store, tmp_path, trainer)
    teacher = ensure_teacher(context, trainer)
    whole = teacher.path.read_bytes()
    for content in (whole[:-1000] + b"x" + whole[-999:], b"", b"text"):
        teacher.path.write_bytes(content)
        assert ensure_teacher(context, Trainer()) == teacher
        assert teacher.path.read_bytes() == whole
    assert f"{teacher.path}: damaged" in caplog.text


def test_the_copy_of_a_teacher_under_another_folder_is_made_again_where_it_is_damaged(
    store: Store, tmp_path: Path
) -> None:
    trainer = Trainer()
    made = ensure_teacher(_context(store, tmp_path / "a", trainer), trainer)
    elsewhere = _context(store, tmp_path / "b", trainer)
    copy = ensure_teacher(elsewhere, trainer).path
    copy.write_bytes(b"damaged")
    assert ensure_teacher(elsewhere, trainer).path == copy
    assert copy.read_bytes() == made.path.read_bytes()


def test_a_teacher_from_a_file_is_not_replaced_by_a_trained_one_where_it_is_damaged(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    trainer = Trainer()
    trained = ensure_teacher(_context(store, tmp_path / "a", trainer), trainer)
    context = _context(other_store, tmp_path / "b", trainer)
    adopted = adopt_teacher(context, trainer, trained.path)
    adopted.path.write_bytes(adopted.path.read_bytes()[:-1])
    with pytest.raises(SweeperError, match="gone or damaged: sweeper teacher --task"):
        ensure_teacher(context, trainer)
    assert adopt_teacher(context, trainer, trained.path) == adopted
    assert ensure_teacher(context, trainer) == adopted
