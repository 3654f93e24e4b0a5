"""The gradient-norm ratio of a method's terms to the task loss, at a baseline's checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from statistics import median

import pytest
import torch
from torch import Tensor

from tests.trainers.tiny_task import NET, STEPS, TASK, members, segment
from trainers.contract.template import write_pair
from trainers.errors import CheckpointError
from trainers.method_api.sources import VARIABLE
from trainers.method_api.task_loss import cross_entropy
from trainers.models import build_net
from trainers.tasks import Net
from trainers.terms.pixel_kl import pixel_kl
from trainers.training.checkpoints import read
from trainers.training.cohort import Trainer
from trainers.training.forward import forward
from trainers.training.resources import ResourceCache
from trainers.training.segment import CALIBRATION_BATCHES, Ending, MemberOutcome, Segment

START = 2
PLAIN = TASK.model_copy(update={"student": Net.model_validate({**NET, "dropout": 0.0})})


@pytest.fixture(scope="module")
def baseline(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a baseline's checkpoint at the step of the measurement."""
    folder = tmp_path_factory.mktemp("baseline")
    [member] = trainer.run(segment(folder, members("baseline"), task=PLAIN, stop=START)).members
    if member.checkpoint is None:
        raise ValueError(f"the baseline came to nothing: {member}")
    return member.checkpoint


def calibration(folder: Path, baseline: Path, teacher: Path, *methods: str) -> Segment:
    who = [dataclasses.replace(m, checkpoint=baseline) for m in members(*methods)]
    start = {"start": START, "stop": STEPS, "calibrates": True}
    return segment(folder, who, task=PLAIN, teacher=teacher, **start)


def measure(trainer: Trainer, asked: Segment) -> dict[str, MemberOutcome]:
    outcome = trainer.run(asked)
    return {m.method: o for m, o in zip(asked.members, outcome.members, strict=True)}


def gradient_norm(loss: Tensor, feature: Tensor) -> float:
    return float(torch.autograd.grad(loss, feature, retain_graph=True)[0].norm())


def test_the_ratio_is_that_of_the_gradients_on_the_head_features(
    trainer: Trainer, baseline: Path, teacher: Path, tmp_path: Path
) -> None:
    asked = calibration(tmp_path, baseline, teacher, "kd")
    resources = ResourceCache().get(asked)
    images, labels = resources.batches.batch(START)
    loaded = resources.get_teacher()
    assert loaded is not None
    student = build_net(PLAIN.student, resources.dataset.num_classes)
    student.load_state_dict(read(baseline)["student"])
    teacher_outputs = forward(loaded.net, images, auxiliary=False)
    outputs = forward(student.train(), images, auxiliary=True)
    head = outputs.features["head"]
    task, term = (
        cross_entropy(outputs, labels, 0.0),
        pixel_kl(outputs.logits, teacher_outputs.logits),
    )
    found = measure(trainer, asked)["kd"]
    assert len(found.gradient_ratios) == CALIBRATION_BATCHES
    assert found.gradient_ratios[0] == pytest.approx(
        gradient_norm(term, head) / gradient_norm(task, head), rel=1e-4
    )


def test_a_ratio_does_not_depend_on_the_other_members(
    trainer: Trainer, baseline: Path, teacher: Path, tmp_path: Path
) -> None:
    alone = measure(trainer, calibration(tmp_path, baseline, teacher, "kd"))
    both = measure(trainer, calibration(tmp_path, baseline, teacher, "rdd", "kd"))
    assert alone["kd"].gradient_ratios == both["kd"].gradient_ratios
    assert both["rdd"].feature == "head"


def test_a_ratio_is_proportional_to_the_weight(
    trainer: Trainer, baseline: Path, teacher: Path, tmp_path: Path
) -> None:
    asked = calibration(tmp_path, baseline, teacher, "kd")
    strong = [dataclasses.replace(m, params={"multiplier": 1000.0}) for m in asked.members]
    once = measure(trainer, asked)["kd"].gradient_ratios
    thousand = measure(trainer, dataclasses.replace(asked, members=tuple(strong)))[
        "kd"
    ].gradient_ratios
    assert median(thousand) == pytest.approx(1000 * median(once), rel=1e-5)


def test_a_method_that_raises_fails_alone(
    trainer: Trainer, baseline: Path, teacher: Path, tmp_path: Path
) -> None:
    asked = calibration(tmp_path, baseline, teacher, "kd", "rdd")
    wrong = dataclasses.replace(asked.members[1], params={"threshold": 2.0})
    found = measure(trainer, dataclasses.replace(asked, members=(asked.members[0], wrong)))
    assert found["rdd"].ending is Ending.FAILED
    assert found["rdd"].reason is not None
    assert "threshold must lie in [0, 1]" in found["rdd"].reason.splitlines()[0]
    assert len(found["kd"].gradient_ratios) == CALIBRATION_BATCHES


def test_a_method_that_memory_does_not_suffice_for_fails_alone(
    trainer: Trainer,
    baseline: Path,
    teacher: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, _ = write_pair("greedy", tmp_path)
    greedy = "    raise MemoryError('tried to allocate 7 GiB')\n        return logit_mse("
    code.write_text(code.read_text().replace("    return logit_mse(", greedy))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    found = measure(trainer, calibration(tmp_path, baseline, teacher, "greedy", "kd"))
    assert found["greedy"].ending is Ending.FAILED
    assert (found["greedy"].reason or "").startswith("MemoryError: tried to allocate 7 GiB")
    assert len(found["kd"].gradient_ratios) == CALIBRATION_BATCHES


def test_nothing_is_written(
    trainer: Trainer, baseline: Path, teacher: Path, tmp_path: Path
) -> None:
    measure(trainer, calibration(tmp_path / "none", baseline, teacher, "kd"))
    assert not (tmp_path / "none").exists()


def test_members_at_different_students_are_refused(
    trainer: Trainer, baseline: Path, teacher: Path, tmp_path: Path
) -> None:
    asked = calibration(tmp_path, baseline, teacher, "kd", "rdd")
    other = dataclasses.replace(asked.members[1], checkpoint=tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="measures at one student's checkpoint, got"):
        trainer.run(dataclasses.replace(asked, members=(asked.members[0], other)))
