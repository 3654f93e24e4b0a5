"""A sweep that the state machine itself has searched and confirmed, with a trainer that is fake."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from sweeper.confirmation.stage import Confirmation, Reported, declare_stage
from sweeper.core.provenance import Launch
from sweeper.optuna_export.projection import Projection
from sweeper.prerequisites.artifact_cache import store_artifact
from sweeper.prerequisites.teacher import Teacher, freeze_teacher
from sweeper.runners.heartbeat import Heartbeat
from sweeper.runners.inline import run_inline
from sweeper.scheduler.declaration import declare
from sweeper.scheduler.driver_config import DriverConfig
from sweeper.scheduler.lease import Lease, acquire
from sweeper.scheduler.state_machine import Sweep
from sweeper.store.database import Store
from tests.sweeper.confirmed import class_iou_of, confusions_of
from tests.sweeper.driving import declaration_of, no_teacher
from tests.sweeper.fakes import FakeTrainer, Killed
from tests.sweeper.recorded import CALIBRATION, CODE, DEVICE, PROVENANCE, TEACHER
from trainers.training.confusions import packed
from trainers.training.segment import Control, Ending, Member, MemberOutcome, Outcome, Segment

NAME = "s"
METHODS = ("baseline", "kd", "rdd")
BUDGET = 16
IMAGES = 4
REPORTED = Reported(
    fingerprint="data",
    blocks=tuple(f"drive/{image // 2}" for image in range(IMAGES)),
    classes=("road", "car", "sky"),
)


@dataclass
class JudgedTrainer(FakeTrainer):
    """Gives class IoUs and, on the reported split, the confusion matrices that they are of."""

    def run(self, segment: Segment, control: Control) -> Outcome:
        outcome = super().run(segment, control)
        members = zip(segment.members, outcome.members, strict=True)
        judged = tuple(_judged(segment, *each) for each in members)
        told: dict[str, Any] = {
            "device_name": DEVICE,
            "code_hash": CODE,
            "notes": ("of a fake trainer",),
        }
        return replace(outcome, members=judged, **told)


def _judged(segment: Segment, member: Member, outcome: MemberOutcome) -> MemberOutcome:
    if outcome.score is None:
        return outcome
    if segment.evaluation_split == "selection":
        iou = outcome.score
        return replace(outcome, class_iou=(iou + 1.0, None, iou - 1.0))
    noise = random.Random(f"{segment.seed} {member.params}").gauss(0, 0.4)
    matrices = confusions_of(outcome.score + noise, IMAGES, segment.seed % 1000)
    class_iou = class_iou_of(matrices)
    return replace(
        outcome,
        score=sum(class_iou) / len(class_iou),
        class_iou=tuple(class_iou),
        confusions=packed(matrices),
    )


def search_and_confirm(store: Store, folder: Path) -> None:
    """Search baseline, kd and rdd at budget 16, with a driver killed midway; confirm them twice."""
    who = Launch(who="somebody@somewhere", command="sweeper launch", provenance=PROVENANCE)
    store_artifact(store.engine, Teacher(**TEACHER | {"path": Path("/teacher.pt")}))
    wanted = declaration_of(BUDGET, methods=METHODS)
    wanted = replace(wanted, protocol=wanted.protocol | {"teacher_recipe": TEACHER["hash"]})
    row = declare(store.engine, wanted, who)
    freeze_teacher(store.engine, row.id, Teacher(**TEACHER | {"path": Path("/teacher.pt")}))
    diverging = JudgedTrainer(die_at=2, fault=_diverge)
    try:
        _run(store, folder, row, diverging)
    except Killed:
        _run(store, folder, row, JudgedTrainer(fault=_diverge))
    terms = {"seeds": 3, "baseline_seeds": 4}
    for more in ({"stages": 2}, {"more": True}):
        confirmation = Confirmation(sweep=NAME, **terms, **more)  # type: ignore[arg-type]
        confirming = replace(who, command=f"sweeper confirm {NAME}")
        stage = declare_stage(store.engine, confirmation, REPORTED, confirming)
        _run(store, folder, stage, JudgedTrainer())


def _diverge(member: Member) -> Ending | None:
    return Ending.DIVERGED if member.key.endswith("/kd#5") else None


def _run(store: Store, folder: Path, row: Row[Any], trainer: FakeTrainer) -> None:
    lease = acquire(store.engine, row.id)
    assert isinstance(lease, Lease)
    driver_config = DriverConfig(checkpoints=folder, teacher=Path("/teacher.pt"), cohort=4)
    sweep = Sweep(store.engine, row, lease, driver_config, Projection(store.engine, store.storage))
    sweep.recover()
    for study in sweep.missing_prerequisites().calibrations:
        sweep.calibrate(study.id, CALIBRATION)
    try:
        assert run_inline(sweep, trainer, Heartbeat(sweep, threading.Event()), no_teacher)
    finally:
        sweep.lease.release(sweep.engine)
