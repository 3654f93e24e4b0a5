"""Checkpoints: whole or not there, and bound to what they belong to."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.tiny_task import TASK, members, segment
from trainers.errors import CheckpointError, UnusableFile
from trainers.runtime.torch_files import write
from trainers.training.checkpoints import (
    Owner,
    State,
    file_of,
    latest,
    load,
    read,
    save,
    weights_hash,
)

OWNER = Owner(
    method="kd",
    params={"temperature": 2.0},
    task="t" * 64,
    seed=1,
    step=5,
    data="d" * 64,
    teacher="a" * 64,
    preparation=None,
    numerics=1,
    deterministic=False,
)


def state(**changes: Any) -> State:
    torch.manual_seed(0)
    student = {"weight": torch.randn(3, 2), "count": torch.tensor(4)}
    whole = State(
        student=student, method={}, optimizer={"state": {0: torch.ones(2)}}, auxiliary_modules={}
    )
    return dataclasses.replace(whole, **changes)


def test_what_was_saved_is_loaded_to_the_last_bit(tmp_path: Path) -> None:
    digest = save(tmp_path / "a.pt", OWNER, state())
    loaded = load(tmp_path / "a.pt", OWNER)
    assert weights_hash(loaded.student) == digest == weights_hash(state().student)
    assert loaded.optimizer is not None
    assert torch.equal(loaded.optimizer["state"][0], torch.ones(2))


def test_nothing_half_written_is_left_beside_a_checkpoint(tmp_path: Path) -> None:
    save(tmp_path / "folder" / "a.pt", OWNER, state())
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["a.pt"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("method", "rdd", 'method is "kd", must be "rdd"'),
        ("params", {"temperature": 3.0}, 'params is {"temperature": 2.0}, must be'),
        ("task", "u" * 64, "task is"),
        ("seed", 2, "seed is 1, must be 2"),
        ("step", 6, "step is 5, must be 6"),
        ("data", "e" * 64, "data is"),
        ("teacher", None, "teacher is"),
        ("preparation", "b" * 64, "preparation is null"),
        ("numerics", 2, "numerics is 1, must be 2"),
        ("deterministic", True, "deterministic is false, must be true"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_naming_both(
    field: str, value: object, words: str, tmp_path: Path
) -> None:
    save(tmp_path / "a.pt", OWNER, state())
    with pytest.raises(CheckpointError) as raised:
        load(tmp_path / "a.pt", dataclasses.replace(OWNER, **{field: value}))  # type: ignore[arg-type]
    assert str(tmp_path / "a.pt") in str(raised.value)
    assert words in str(raised.value)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused_by_name(part: float, tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    save(file, OWNER, state())
    file.write_bytes(file.read_bytes()[: int(part * file.stat().st_size)])
    with pytest.raises(UnusableFile, match=r"a\.pt: damaged: it does not end with its digest"):
        load(file, OWNER)


def test_weights_that_were_tampered_with_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    save(file, OWNER, state())
    content = read(file)
    content["student"]["weight"][0, 0] += 1
    torch.save(content, file)
    with pytest.raises(UnusableFile, match="damaged"):
        load(file, OWNER)


@pytest.mark.parametrize(("content", "words"), [([1, 2], "holds a list"), ({}, "format None")])
def test_a_file_of_another_kind_is_refused(content: Any, words: str, tmp_path: Path) -> None:
    write(tmp_path / "a.pt", content)
    with pytest.raises(UnusableFile, match=words):
        load(tmp_path / "a.pt", OWNER)


def test_the_hash_does_not_depend_on_memory_layout_or_order() -> None:
    image = torch.randn(2, 3, 4, 5)
    other = image.contiguous(memory_format=torch.channels_last)
    assert weights_hash({"a": image, "b": image[0]}) == weights_hash({"b": other[0], "a": other})


@pytest.mark.parametrize("change", [lambda x: x + 1e-7, lambda x: x.T, lambda x: x.double()])
def test_the_hash_changes_with_values_shapes_and_types(change: Any) -> None:
    weight = torch.full((2, 3), 0.5)
    assert weights_hash({"a": weight}) != weights_hash({"a": change(weight)})


@pytest.mark.parametrize("other", ["a b#1", "a-b#1", "A/b#1", "a/b#11"])
def test_two_keys_never_share_a_file(other: str, tmp_path: Path) -> None:
    ours, theirs = file_of(tmp_path, "a/b#1", 3), file_of(tmp_path, other, 3)
    assert ours != theirs
    assert ours.parent == theirs.parent == tmp_path


def test_the_latest_checkpoint_of_a_member_is_found_among_others(tmp_path: Path) -> None:
    assert latest(tmp_path, "a/b#1") == (0, None)
    for key, step in (("a/b#1", 9), ("a/b#1", 12), ("a/b#11", 20)):
        save(file_of(tmp_path, key, step), OWNER, state())
    assert latest(tmp_path, "a/b#1") == (12, file_of(tmp_path, "a/b#1", 12))


def test_an_owner_knows_the_task_by_what_changes_training(tmp_path: Path) -> None:
    def owner(**changes: Any) -> Owner:
        task = TASK.model_copy(update=changes)
        here = segment(tmp_path, members("kd"), task=task)
        return Owner.of(here, here.members[0], step=2, data="d", teacher="a")

    assert owner() == owner(name="other", description="Other.")
    assert owner() != owner(threads=2)
