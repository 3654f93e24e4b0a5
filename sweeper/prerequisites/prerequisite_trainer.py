"""Making ready what a sweep's next trials need: teacher, preparations, calibrations, in this order.

Each is trained once, by whoever runs segments, and found again by the hash of all that determines
it; a calibration is frozen with its study.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from sweeper.core.constants import BASELINE
from sweeper.core.errors import SweeperError
from sweeper.prerequisites.artifact_cache import Artifact, CannotBeTrained, Interrupted
from sweeper.prerequisites.teacher import TeacherContext, ensure_teacher, freeze_teacher
from sweeper.scheduler.state_machine import Sweep
from sweeper.search.seeds import training_seed
from sweeper.store.log import Study
from trainers.data import Dataset
from trainers.errors import UnusableFile
from trainers.runtime.numerics import NUMERICS_VERSION
from trainers.runtime.terminal import Progress
from trainers.tasks.identity import digest, task_hash
from trainers.training.segment import Control, Ending, Member, MemberOutcome, Runs, Segment
from trainers.training.single_run import Configuration, preparation_of, train

DIGITS = 3  # of the multiplier of equal effect: what differs between processors is rounded away
STUDENT = BASELINE  # calibrations are measured at a default one, at its first rung


@dataclass(frozen=True, kw_only=True)
class PrerequisiteTrainer:
    """Makes ready what a sweep lacks."""

    sweep: Sweep
    context: TeacherContext
    dataset: Dataset

    def train_prerequisites(self, trainer: Runs) -> None:
        """Make what is lacking now; a stop leaves the rest for later.

        Raises SweeperError where there is no teacher to be had, or where a file that was made is
        found damaged time and again; once, it is left to be made again by the next call. A method
        whose preparation cannot be trained, or whose terms cannot be calibrated, is blocked.
        """
        missing = self.sweep.missing_prerequisites()
        try:
            if missing.teacher:
                self._teach(trainer)
            for name, studies in missing.preparations.items():
                with self._blocking(studies):
                    self._prepare(name, trainer)
            # Some are blocked now, and another launch may have added methods.
            missing = self.sweep.missing_prerequisites()
            if missing.calibrations and not (missing.teacher or missing.preparations):
                with self._blocking(missing.calibrations):
                    self._calibrate(missing.calibrations, trainer)
        except Interrupted as interruption:
            self.context.announce(str(interruption))
        except UnusableFile as fault:
            self.context.announce(f"{fault}; it is made again")
            self.sweep.make_again(fault.file)

    @contextmanager
    def _blocking(self, studies: Sequence[Study]) -> Iterator[None]:
        """Block the studies where what they need cannot be trained: others go on without it."""
        try:
            yield
        except CannotBeTrained as fault:
            for study in studies:
                self._block(study, str(fault))

    def _block(self, study: Study, reason: str) -> None:
        self.sweep.block(study.id, reason)
        self.context.announce(f"{study.method} blocked: {reason.partition(chr(10))[0]}")

    def _teach(self, trainer: Runs) -> None:
        teacher = ensure_teacher(self.context, trainer)
        freeze_teacher(self.sweep.engine, self.sweep.id, teacher)
        score = f"{teacher.score:.2f} mIoU on the selection split"
        self.context.announce(f"teacher: {score} ({teacher.path})")
        hashes = {**self.sweep.driver_config.hashes, teacher.path: teacher.weights_hash}
        self.sweep.driver_config = replace(
            self.sweep.driver_config, teacher=teacher.path, hashes=hashes
        )

    def _prepare(self, name: str, trainer: Runs) -> None:
        root = self.sweep.driver_config.checkpoints
        wanted = preparation_of(self._configuration(name, root), self.dataset, root)
        if wanted is None:
            raise SweeperError(f"method {name} has nothing to prepare: reinstall sweeper")
        made = self._ensure("preparation", f"preparation of {name}", wanted, trainer)
        place = self.sweep.driver_config
        files = {**place.preparations, name: made.path}
        hashes = {**place.hashes, made.path: made.weights_hash}
        self.sweep.driver_config = replace(place, preparations=files, hashes=hashes)

    def _calibrate(self, studies: Sequence[Study], trainer: Runs) -> None:
        student = self._student(trainer)
        names = sorted({study.method for study in studies})
        self.context.announce(f"measuring the gradient-norm ratio of the terms: {', '.join(names)}")
        segment = self._calibration(names, student)
        outcome = trainer.run(segment, Control(should_stop=self.context.stop.is_set))
        if outcome.interrupted:
            raise Interrupted("stopped while measuring; it begins again at the next launch")
        _check_files(outcome.members)
        found = dict(zip(names, outcome.members, strict=True))
        for study in studies:
            member = found[study.method]
            reason = _fault_of(member)
            if reason:
                self._block(study, f"its terms cannot be calibrated: {reason}")
                continue
            measured = _measured(member, segment.start, outcome.device_name)
            self.sweep.calibrate(study.id, measured)

    def _student(self, trainer: Runs) -> Path:
        """Return the checkpoint of a baseline with default values at its first rung."""
        sweep, root = self.sweep, self.sweep.driver_config.checkpoints
        seed, stop = training_seed(sweep.seed, 1), sweep.plan.rung_steps[0]
        deterministic = self.context.deterministic
        parts = [task_hash(sweep.task), seed, stop, self.dataset.fingerprint, deterministic]
        identity = digest([STUDENT, *parts, NUMERICS_VERSION])
        wanted = replace(
            self._configuration(STUDENT, root / "calibrations" / identity), seed=seed, stop=stop
        )
        return self._ensure("calibration", "student to calibrate at", wanted, trainer).path

    def _ensure(self, kind: str, title: str, wanted: Configuration, trainer: Runs) -> Artifact:
        """Train what a configuration says, unless it is there; its folder is named by its hash."""

        def make() -> Artifact:
            start, _ = wanted.stored()
            self.context.announce(f"{title}: training it, steps {start} to {wanted.last}, once")
            progress = Progress(wanted.last, start, self.context.announce)
            control = Control(on_progress=progress, should_stop=self.context.stop.is_set)
            outcome = train(wanted, trainer, control)
            _check_files([outcome])
            if outcome.ending is not Ending.REACHED or outcome.checkpoint is None:
                why = outcome.reason or "a loss was not finite"
                raise CannotBeTrained(f"{title} {outcome.ending} at step {outcome.step}: {why}")
            if outcome.step < wanted.last:
                raise Interrupted(f"stopped at step {outcome.step} of {wanted.last}; it is saved")
            return Artifact(
                hash=wanted.folder.name,
                kind=kind,
                origin="trained",
                identity={"task": wanted.task.identity(), "method": wanted.method},
                path=outcome.checkpoint,
                weights_hash=str(outcome.weights_hash),
                metrics={},
            )

        return self.context.artifact_cache.ensure(wanted.folder.name, make)

    def _configuration(self, method: str, folder: Path) -> Configuration:
        place = self.sweep.driver_config
        return Configuration(
            task=self.sweep.task,
            method=method,
            params={},
            seed=0,
            folder=folder,
            data_root=place.data_root,
            device=place.device,
            deterministic=self.context.deterministic,
            teacher=place.teacher,
            hashes=place.hashes,
        )

    def _calibration(self, names: Sequence[str], student: Path) -> Segment:
        sweep, place = self.sweep, self.sweep.driver_config
        return Segment(
            task=sweep.task,
            seed=training_seed(sweep.seed, 1),
            start=sweep.plan.rung_steps[0],
            stop=sweep.task.schedule.steps,
            evaluate=False,
            members=tuple(
                Member(key=f"calibration of {name}", method=name, params={}, checkpoint=student)
                for name in names
            ),
            folder=student.parent,
            teacher=place.teacher,
            preparations=place.preparations,
            hashes=place.hashes,
            data_root=place.data_root,
            device=place.device,
            deterministic=self.context.deterministic,
            calibrates=True,
        )


def equal_effect(ratios: Sequence[float]) -> float:
    """Return the multiplier at which the ratios' median is 1."""
    return float(f"{1 / median(ratios):.{DIGITS}g}")


def _measured(member: MemberOutcome, step: int, device: str) -> dict[str, Any]:
    return {
        "equal": equal_effect(member.gradient_ratios),
        "gradient_ratio": median(member.gradient_ratios),
        "gradient_ratios": list(member.gradient_ratios),
        "feature": member.feature,
        "step": step,
        "device": device,
    }


def _check_files(members: Sequence[MemberOutcome]) -> None:
    """Raise UnusableFile where a file that the members needed is gone, damaged or another's."""
    for member in members:
        if member.damaged is not None:
            why = str(member.reason).removeprefix(f"{member.damaged}: ")
            raise UnusableFile(member.damaged, why)


def _fault_of(member: MemberOutcome) -> str | None:
    """Return why a measurement is of no use."""
    if member.ending is not Ending.REACHED:
        return member.reason or str(member.ending)
    broken = sum(not math.isfinite(ratio) for ratio in member.gradient_ratios)
    if broken:
        total = len(member.gradient_ratios)
        return f"the gradient of its terms is not finite on {broken} of {total} image batches"
    ratio = median(member.gradient_ratios)
    if ratio <= 0:
        return f"the gradient of its terms is {ratio:g} of the task loss's at {member.feature}"
    return None
