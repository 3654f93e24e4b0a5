"""A member's result depends on nothing but itself: not on its cohort, not on interruptions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from tests.trainers.tiny_task import STEPS, StopAfter, digits, members, resumed, segment
from trainers.training.checkpoints import read
from trainers.training.cohort import Trainer
from trainers.training.confusions import unpack
from trainers.training.segment import Control, Ending, Outcome

METHODS = ("baseline", "kd", "rdd")


@pytest.fixture(scope="module")
def undisturbed(
    trainer: Trainer, teacher: Path, tmp_path_factory: pytest.TempPathFactory
) -> Outcome:
    folder = tmp_path_factory.mktemp("undisturbed")
    return trainer.run(segment(folder, members(*METHODS), teacher=teacher))


@pytest.mark.parametrize("number", range(len(METHODS)))
def test_a_member_does_not_depend_on_its_cohort(
    number: int, undisturbed: Outcome, teacher: Path, tmp_path: Path
) -> None:
    [member] = members(*METHODS)[number : number + 1]
    alone = Trainer().run(segment(tmp_path, [member], teacher=teacher)).members[0]
    assert digits(alone) == digits(undisturbed.members[number])
    assert alone.losses == undisturbed.members[number].losses


def test_the_order_of_a_cohort_does_not_matter(
    trainer: Trainer, undisturbed: Outcome, teacher: Path, tmp_path: Path
) -> None:
    backwards = members(*METHODS)[::-1]
    outcome = trainer.run(segment(tmp_path, backwards, teacher=teacher))
    assert [digits(m) for m in outcome.members] == [digits(m) for m in undisturbed.members[::-1]]


def test_methods_and_params_do_make_a_difference(undisturbed: Outcome) -> None:
    assert len({member.weights_hash for member in undisturbed.members}) == len(METHODS)


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_resumed_training_equals_uninterrupted_training(
    cut: int, trainer: Trainer, undisturbed: Outcome, teacher: Path, tmp_path: Path
) -> None:
    first = segment(tmp_path, members(*METHODS), teacher=teacher)
    cut_short = trainer.run(first, StopAfter(cut))
    assert cut_short.interrupted
    assert {member.step for member in cut_short.members} == {cut}
    second = Trainer().run(resumed(first, cut_short))
    assert [digits(m) for m in second.members] == [digits(m) for m in undisturbed.members]


def test_training_under_one_teacher_does_not_go_on_under_another(
    trainer: Trainer, teacher: Path, tmp_path: Path
) -> None:
    content = read(teacher)
    content["student"]["classifier.bias"] += 1
    torch.save(content, tmp_path / "other.pt")
    first = segment(tmp_path, members("baseline", "kd"), teacher=teacher, stop=2, evaluate=False)
    rest = trainer.run(resumed(first, trainer.run(first), teacher=tmp_path / "other.pt"))
    baseline, kd = rest.members
    assert (baseline.ending, kd.ending) == (Ending.REACHED, Ending.DAMAGED)
    assert kd.reason is not None and "belongs to something else: teacher is" in kd.reason


def test_losses_are_the_same_however_a_training_is_cut(
    trainer: Trainer, undisturbed: Outcome, teacher: Path, tmp_path: Path
) -> None:
    first = segment(tmp_path, members("baseline"), teacher=teacher, stop=2, evaluate=False)
    before = trainer.run(first)
    after = trainer.run(resumed(first, before))
    losses = before.members[0].losses + after.members[0].losses
    assert losses == undisturbed.members[0].losses
    assert [step for step, _ in losses] == list(range(1, STEPS + 1))


def test_time_that_is_up_ends_the_segment_after_the_running_step(
    trainer: Trainer, tmp_path: Path
) -> None:
    outcome = trainer.run(segment(tmp_path, members("baseline"), max_seconds=0.0))
    assert outcome.interrupted
    assert (outcome.members[0].step, outcome.members[0].score) == (1, None)


def test_a_wish_to_stop_at_the_last_step_interrupts_nothing(
    trainer: Trainer, tmp_path: Path
) -> None:
    outcome = trainer.run(segment(tmp_path, members("baseline")), StopAfter(STEPS))
    assert not outcome.interrupted
    assert outcome.members[0].score is not None


def test_progress_is_reported_after_every_step(trainer: Trainer, tmp_path: Path) -> None:
    steps: list[int] = []
    trainer.run(segment(tmp_path, members("baseline"), stop=3), Control(on_progress=steps.append))
    assert steps == [1, 2, 3]


def test_evaluation_changes_nothing_that_training_depends_on(
    trainer: Trainer, tmp_path: Path
) -> None:
    first = segment(tmp_path, members("baseline"), stop=2)
    seen = trainer.run(first)
    unseen = trainer.run(dataclasses.replace(first, evaluate=False))
    assert seen.members[0].weights_hash == unseen.members[0].weights_hash
    ends = [trainer.run(resumed(first, before)).members[0] for before in (seen, unseen)]
    assert digits(ends[0]) == digits(ends[1])


def test_the_members_seconds_add_up_to_the_segments(undisturbed: Outcome) -> None:
    total = sum(member.seconds for member in undisturbed.members)
    assert total == pytest.approx(undisturbed.wall_seconds)
    assert all(member.seconds > 0 for member in undisturbed.members)


def test_a_confirmation_trains_the_same_and_is_judged_on_the_other_split_alone(
    trainer: Trainer, undisturbed: Outcome, teacher: Path, tmp_path: Path
) -> None:
    asked = segment(tmp_path, members(*METHODS), teacher=teacher, evaluation_split="report")
    outcome = trainer.run(asked)
    data = trainer.dataset(asked.task.data, None)
    for member, before in zip(outcome.members, undisturbed.members, strict=True):
        assert (member.weights_hash, before.confusions) == (before.weights_hash, None)
        assert member.confusions is not None
        matrices = unpack(member.confusions)
        assert len(matrices) == len(data.report) != len(data.selection)
        counted = [int((labels != 255).sum()) for labels in data.report.labels]
        assert matrices.sum((1, 2)).tolist() == counted
        assert member.score != before.score
