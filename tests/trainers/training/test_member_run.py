"""Whatever happens to one member, the others do not notice."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import ClassVar
from weakref import WeakSet

import pytest
import torch
from torch import Tensor

import trainers.training.member
from tests.trainers.tiny_task import STEPS, StopAfter, digits, members, segment
from trainers.method_api import registry
from trainers.method_api.loading import load_method
from trainers.method_api.method import Method, Step
from trainers.methods.baseline import Baseline
from trainers.training.cohort import Trainer
from trainers.training.segment import Ending, Member, Outcome


class Raising(Baseline):
    """Raises at half of the training."""

    def losses(self, step: Step) -> dict[str, Tensor]:
        if step.progress >= 0.5:
            raise ZeroDivisionError("half of nothing")
        return {}


class Writing(Baseline):
    """Overwrites the labels that all members share."""

    def losses(self, step: Step) -> dict[str, Tensor]:
        step.labels.zero_()
        return {}


class ReadsTeacher(Baseline):
    """Uses what the teacher says, although it declares no need of it."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.values["readsteacher"] = 1.0

    def losses(self, step: Step) -> dict[str, Tensor]:
        seen = step.teacher is not None or self.teacher_shape is not None
        return {"readsteacher": step.student.logits.sum() * float(seen)}


class ReadsAuxiliaryHead(ReadsTeacher):
    """Uses the teacher's auxiliary head, although it declares no need of it."""

    needs_teacher = True

    def losses(self, step: Step) -> dict[str, Tensor]:
        seen = step.teacher_outputs.aux_logits is not None
        return {"readsteacher": step.student.logits.sum() * float(seen)}


class Raging(Baseline):
    """Has a loss that is no number at the second step."""

    def losses(self, step: Step) -> dict[str, Tensor]:
        return {"rage": step.student.logits.sum() * (math.nan if step.progress > 0 else 1.0)}

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.values["rage"] = 0.0


class FitsTwo(Baseline):
    """Wants more memory than there is when more than two of its kind are alive."""

    most: ClassVar[int] = 2
    alive: ClassVar[WeakSet[Method]] = WeakSet()

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.alive.add(self)

    def losses(self, step: Step) -> dict[str, Tensor]:
        if len(self.alive) > self.most and step.progress > 0:
            raise torch.OutOfMemoryError("tried to allocate 7 GiB")
        return {}


class FitsNone(FitsTwo):
    """Does not even fit alone."""

    most = 0


KINDS = (Raising, Writing, ReadsTeacher, ReadsAuxiliaryHead, Raging, FitsTwo, FitsNone)
STRANGE: dict[str, type[Method]] = {kind.__name__.lower(): kind for kind in KINDS}


@pytest.fixture(autouse=True)
def strange_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let members be of the methods above, which have no files."""

    def load(name: str) -> type[Method]:
        return STRANGE.get(name) or load_method(name)

    def resolve(name: str, params: dict[str, float]) -> dict[str, float | int | str]:
        return {} if name in STRANGE else registry.resolve(name, params)

    monkeypatch.setattr(trainers.training.member, "load_method", load)
    monkeypatch.setattr(trainers.training.member, "resolve", resolve)


@pytest.fixture
def alone(trainer: Trainer, tmp_path: Path) -> Outcome:
    return trainer.run(segment(tmp_path / "alone", members("baseline")))


@pytest.mark.parametrize(
    ("name", "ending", "step"),
    [
        ("raising", Ending.FAILED, STEPS // 2),
        ("writing", Ending.FAILED, 1),
        ("raging", Ending.DIVERGED, 2),
        ("unknown", Ending.FAILED, 0),
    ],
)
def test_a_member_that_ends_early_ends_alone(
    name: str, ending: Ending, step: int, trainer: Trainer, alone: Outcome, tmp_path: Path
) -> None:
    outcome = trainer.run(segment(tmp_path, members("baseline", name)[::-1]))
    ended, other = outcome.members
    assert (ended.ending, ended.step, ended.checkpoint) == (ending, step, None)
    assert digits(other) == digits(alone.members[0])
    assert not outcome.interrupted


@pytest.mark.parametrize("name", ["readsteacher", "readsauxiliaryhead"])
def test_a_method_sees_no_more_of_a_teacher_than_it_declares(
    name: str, trainer: Trainer, alone: Outcome, teacher: Path, tmp_path: Path
) -> None:
    who = members(name, "rdd")
    seen = trainer.run(segment(tmp_path, who, teacher=teacher)).members[0]
    assert digits(seen) == digits(alone.members[0])


def test_a_learning_rate_beyond_all_bounds_diverges_and_leaves_no_number_that_is_none(
    trainer: Trainer, alone: Outcome, tmp_path: Path
) -> None:
    wild = dataclasses.replace(members("baseline")[0], key="wild", params={"learning_rate": 1e6})
    outcome = trainer.run(segment(tmp_path, [wild, *members("baseline")]))
    diverged, other = outcome.members
    assert (diverged.ending, diverged.score, diverged.weights_hash) == (Ending.DIVERGED, None, None)
    assert all(math.isfinite(loss) for _, loss in diverged.losses)
    assert digits(other) == digits(alone.members[0])


def test_the_reason_of_a_failure_begins_with_its_last_line(
    trainer: Trainer, tmp_path: Path
) -> None:
    [failed] = trainer.run(segment(tmp_path, members("raising"))).members
    assert failed.reason is not None
    assert failed.reason.startswith("ZeroDivisionError: half of nothing\nTraceback")
    assert "in losses" in failed.reason


def test_a_cohort_that_does_not_fit_is_split_and_goes_on(alone: Outcome, tmp_path: Path) -> None:
    outcome = Trainer().run(segment(tmp_path, members(*["fitstwo"] * 4)))
    assert outcome.notes == ("out of memory: split 4 into 2 + 2",)
    assert [member.key for member in outcome.members] == [f"tiny/fitstwo#{i}" for i in range(4)]
    assert {digits(member) for member in outcome.members} == {digits(alone.members[0])}


def test_a_trainer_does_not_run_out_of_memory_twice(
    alone: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer()
    trainer.run(segment(tmp_path / "first", members(*["fitstwo"] * 4)))
    alive: list[int] = []

    def losses(self: FitsTwo, step: Step) -> dict[str, Tensor]:
        alive.append(len(self.alive))
        return {}

    monkeypatch.setattr(FitsTwo, "losses", losses)
    outcome = trainer.run(segment(tmp_path / "second", members(*["fitstwo"] * 4)))
    assert max(alive) == FitsTwo.most
    assert {digits(member) for member in outcome.members} == {digits(alone.members[0])}


def test_a_half_without_an_end_of_its_own_can_still_be_stopped(tmp_path: Path) -> None:
    outcome = Trainer().run(segment(tmp_path, members("fitsnone", "baseline")), StopAfter(5))
    lost, other = outcome.members
    assert (lost.ending, other.ending, other.step) == (Ending.LOST, Ending.REACHED, 3)
    assert outcome.interrupted


def test_a_member_that_does_not_fit_alone_is_lost(tmp_path: Path) -> None:
    outcome = Trainer().run(segment(tmp_path, members("fitsnone", "baseline")))
    lost, other = outcome.members
    assert (lost.ending, lost.step, other.ending) == (Ending.LOST, 0, Ending.REACHED)
    assert lost.reason == "out of memory: tried to allocate 7 GiB"


@pytest.mark.parametrize(("start", "has_checkpoint"), [(0, True), (2, False)])
def test_a_member_starts_with_a_checkpoint_or_at_step_0(
    start: int, has_checkpoint: bool, trainer: Trainer, tmp_path: Path
) -> None:
    first = trainer.run(segment(tmp_path, members("baseline"), stop=2)).members[0]
    checkpoint = first.checkpoint if has_checkpoint else None
    who = [dataclasses.replace(members("baseline")[0], checkpoint=checkpoint)]
    [lost] = trainer.run(segment(tmp_path, who, start=start)).members
    assert lost.ending is Ending.LOST
    assert lost.reason is not None and f"a segment from step {start} must have" in lost.reason


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_member_with_a_damaged_checkpoint_says_so_alone(
    content: bytes, trainer: Trainer, tmp_path: Path
) -> None:
    first = trainer.run(segment(tmp_path, members("baseline"), stop=2)).members[0]
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(content)
    who = [
        Member(key="good", method="baseline", params={}, checkpoint=first.checkpoint),
        Member(key="bad", method="baseline", params={}, checkpoint=damaged),
    ]
    good, bad = trainer.run(segment(tmp_path, who, start=2)).members
    assert (good.ending, bad.ending) == (Ending.REACHED, Ending.DAMAGED)
    assert (bad.step, bad.damaged) == (2, damaged)
    assert bad.reason is not None and str(damaged) in bad.reason
