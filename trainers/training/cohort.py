"""Training a cohort: each image batch and teacher pass once, then its members one after another.

A member's result does not depend on its cohort: what is shared is only read, the rest is its own.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from trainers.data import Dataset
from trainers.errors import MethodError, UnusableFile
from trainers.models.resampling import resize_bilinear
from trainers.runtime.devices import device_name
from trainers.runtime.json_log import detail
from trainers.runtime.numerics import configure
from trainers.runtime.out_of_memory import is_out_of_memory, release_memory
from trainers.tasks.identity import task_hash
from trainers.tasks.schema import Data, Task
from trainers.training.calibration import calibrate
from trainers.training.evaluation import Confusion, ImageConfusions
from trainers.training.forward import forward
from trainers.training.imported_code import imported_code
from trainers.training.member import StudentTrainer
from trainers.training.member_run import MemberRun
from trainers.training.memory_banks import MemoryBanks
from trainers.training.preparation import PreparationTrainer
from trainers.training.previews import Predict
from trainers.training.resources import ResourceCache, Resources, in_batches, normalisation_of
from trainers.training.segment import Control, Member, Outcome, Segment
from trainers.training.segment_context import SegmentContext
from trainers.training.segment_log import log_ended, segment_log
from trainers.training.shared_step import share
from trainers.training.stop_condition import StopCondition
from trainers.training.teacher_file import LoadedTeacher

logger = logging.getLogger(__name__)


class Cohort:
    """Members that go through a segment together."""

    def __init__(
        self, members: tuple[Member, ...], context: SegmentContext, resources: Resources
    ) -> None:
        self.member_runs = [MemberRun(member, context) for member in members]
        self._segment, self._resources = context.segment, resources
        self._teacher: LoadedTeacher | None = None
        self._memory_banks = MemoryBanks(context.segment.seed, context.device)
        self.notes: list[str] = []

    def run(self, stop: int, stop_condition: StopCondition) -> int | None:
        """Train to `stop`, or until the stop condition is met; evaluate if asked; save the states.

        Returns the step reached; None where no member is left.
        """
        self._build()
        step = self._train(stop, stop_condition)
        for member_run in self.member_runs:
            member_run.check_losses()
        evaluated = self._segment.evaluate and step == self._segment.stop
        confusions = self._evaluate(stop_condition.control) if evaluated else {}
        is_last = evaluated and step == self._segment.task.schedule.steps
        for member_run, trainer in self._active():
            picture = self._picture(member_run, trainer) if is_last else None
            member_run.finish(step, confusions.get(member_run), picture)
        return step if any(member_run.has_reached for member_run in self.member_runs) else None

    def _build(self) -> None:
        """Load the teacher where a member needs it, then build the members' states."""
        distilled = [member_run for member_run in self.member_runs if member_run.needs_teacher()]
        try:
            if distilled:
                self._teacher = self._resources.get_teacher()
        except UnusableFile as error:
            for member_run in distilled:
                member_run.end_damaged(error)
        for member_run in self.member_runs:
            member_run.build(self._teacher, self._memory_banks)

    def _active(self) -> list[tuple[MemberRun, StudentTrainer | PreparationTrainer]]:
        return [(run, run.trainer) for run in self.member_runs if run.trainer is not None]

    def _train(self, stop: int, stop_condition: StopCondition) -> int:
        for step in range(self._segment.start, stop):
            if not self._active():
                break
            self._train_step(step)
            stop_condition.control.on_progress(step + 1)
            if step + 1 < stop and stop_condition.is_met():
                return step + 1
        return stop

    def _train_step(self, step: int) -> None:
        active = self._active()
        trainers = [trainer for _, trainer in active]
        shared = share(self._resources.batches, self._teacher, trainers, step)
        if shared.teacher is not None:
            self._memory_banks.update(shared.teacher, shared.labels, step)
        for member_run, trainer in active:
            if member_run.trainer is None:
                continue
            member_run.train_step(trainer, shared, step)
            if shared.is_changed():
                # The rest of the cohort must not train on what was written. Batches and the
                # teacher's outputs depend on seed and step alone: computed anew, they are equal.
                member_run.end_failed(_wrote(member_run.member))
                shared = share(self._resources.batches, self._teacher, trainers, step)
            if self._memory_banks.are_changed():
                self._fail_memory_bank_users(member_run.member)

    def _fail_memory_bank_users(self, writer: Member) -> None:
        """End all members that use a memory bank: what was written over cannot be restored."""
        for member_run, trainer in self._active():
            if trainer.memory_bank is not None or member_run.member is writer:
                member_run.end_failed(_wrote(writer))

    @torch.inference_mode()
    def _evaluate(self, control: Control) -> dict[MemberRun, Confusion]:
        """Return each member's confusion matrix on the evaluation split, images read once."""
        device, num_classes = self._resources.device, self._resources.dataset.num_classes
        kind = ImageConfusions if self._segment.evaluation_split == "report" else Confusion
        confusions = {member_run: kind(num_classes, device) for member_run, _ in self._active()}
        for images, labels in self._resources.evaluation_batches():
            for member_run, trainer in self._active():
                with member_run.watch.running():
                    logits = resize_bilinear(trainer.predict(images), labels.shape[-2:])
                    confusions[member_run].add(logits, labels)
            control.on_heartbeat()
        return confusions

    @torch.inference_mode()
    def _picture(
        self, member_run: MemberRun, trainer: StudentTrainer | PreparationTrainer
    ) -> bytes | None:
        """Return a picture of what the member predicts, or None where it cannot be drawn.

        The teacher's predictions are in it where the member's method has a teacher.
        """
        teacher = self._teacher if trainer.needs_teacher else None
        teacher_pair = None if teacher is None else (teacher.weights_hash, _predictions_of(teacher))
        try:
            with member_run.watch.running():
                return self._resources.get_previews().draw(trainer.predict, teacher_pair)
        except torch.AcceleratorError:
            raise
        except (RuntimeError, MemoryError, OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            self.notes.append(f"no picture of {member_run.member.key}: {reason}")
            return None


@dataclass(frozen=True, kw_only=True)
class TeacherScore:
    """How good a teacher is on the selection split."""

    score: float  # mIoU in percent
    weights_hash: str


class Trainer:
    """Runs segments, and keeps data, teacher and what fits from one to the next."""

    def __init__(self) -> None:
        self._cache = ResourceCache()
        self._fitting: dict[tuple[str, str], int] = {}  # (task, device) -> members at once

    def dataset(self, data: Data, root: Path | None) -> Dataset:
        """Return a data set, kept for the segments that follow; DataError where it is lacking."""
        return self._cache.dataset(data, root)

    def run(self, segment: Segment, control: Control | None = None) -> Outcome:
        """Train the segment's members and return the outcome of each.

        Raises a UserError where data or teacher cannot be had; a member's own faults end that
        member alone. Where memory does not suffice, the halves of the cohort run one after the
        other.
        """
        with segment_log(segment):
            ended = self._run(segment, control or Control())
            outcome = replace(ended, code_hash=imported_code().hash)
            log_ended(segment, outcome)
        return outcome

    def _run(self, segment: Segment, control: Control) -> Outcome:
        began = time.perf_counter()
        device = torch.device(segment.device)
        configure(device, segment.deterministic, segment.task.threads)
        resources = self._cache.get(segment)
        context = SegmentContext(
            segment=segment,
            device=device,
            num_classes=resources.dataset.num_classes,
            data=resources.dataset.fingerprint,
        )
        if segment.calibrates:
            return _calibrated(context, resources, control, began)
        deadline = None if segment.max_seconds is None else began + segment.max_seconds
        place = (task_hash(segment.task), segment.device)
        splitter = _CohortSplitter(
            context, resources, self._fitting.get(place, len(segment.members))
        )
        stop_condition = StopCondition(control=control, deadline=deadline)
        step = splitter.run(segment.members, segment.stop, stop_condition)
        if splitter.most < len(segment.members):
            self._fitting[place] = splitter.most
        wall = time.perf_counter() - began
        common = max(
            0.0, wall - sum(member_run.watch.read() for member_run in splitter.member_runs)
        )
        share_of_common = common / len(segment.members)
        return Outcome(
            members=tuple(
                member_run.outcome(share_of_common) for member_run in splitter.member_runs
            ),
            wall_seconds=wall,
            device_name=device_name(device),
            interrupted=step is not None and step < segment.stop,
            notes=tuple(splitter.notes),
        )

    def score_teacher(self, task: Task, file: Path, root: Path | None, device: str) -> TeacherScore:
        """Return how good the teacher in `file` is; CheckpointError where it is not the task's."""
        place = torch.device(device)
        configure(place, deterministic=False, threads=task.threads)
        dataset = self.dataset(task.data, root)
        teacher = self._cache.teacher(task, file, dataset.num_classes, place)
        confusion = Confusion(dataset.num_classes, place)
        split, size = dataset.selection.to(place), task.schedule.image_batch
        with torch.inference_mode():
            for images, labels in in_batches(split, size, normalisation_of(task, dataset)):
                logits = forward(teacher.net, images, auxiliary=False).logits
                confusion.add(resize_bilinear(logits, labels.shape[-2:]), labels)
        score, _ = confusion.scores()
        return TeacherScore(score=score, weights_hash=teacher.weights_hash)


def _calibrated(
    context: SegmentContext, resources: Resources, control: Control, began: float
) -> Outcome:
    try:
        members = calibrate(context, resources, control)
    except UnusableFile as error:  # all are measured at one student, most with one teacher
        member_runs = [MemberRun(member, context) for member in context.segment.members]
        for member_run in member_runs:
            member_run.end_damaged(error)
        members = [member_run.outcome(0.0) for member_run in member_runs]
    wall = time.perf_counter() - began
    return Outcome(
        members=tuple(replace(member, seconds=wall / len(members)) for member in members),
        wall_seconds=wall,
        device_name=device_name(context.device),
        interrupted=control.should_stop(),
    )


class _CohortSplitter:
    """A segment's cohort, in halves where memory demands it; collects those that are done."""

    def __init__(self, context: SegmentContext, resources: Resources, most: int) -> None:
        """Begin with no member done, and at most `most` members at once."""
        self.member_runs: list[MemberRun] = []
        self.notes: list[str] = []
        self.most = most
        self._context, self._resources = context, resources

    def run(
        self, members: tuple[Member, ...], stop: int, stop_condition: StopCondition
    ) -> int | None:
        """Run members from the segment's start.

        Returns the step reached, one for all of them; None where no member is left.
        """
        if len(members) > self.most:
            return self._run_halves(members, stop, stop_condition)
        cohort = Cohort(members, self._context, self._resources)
        try:
            step = cohort.run(stop, stop_condition)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0]
        else:
            self.member_runs += cohort.member_runs
            self.notes += cohort.notes
            return step
        # Below, since within the handler the traceback would still hold the failed try's tensors.
        del cohort
        release_memory()
        if len(members) > 1:
            self.most = (len(members) + 1) // 2
            return self._run_halves(members, stop, stop_condition)
        self._note(f"out of memory: {members[0].key} does not fit alone")
        lost = MemberRun(members[0], self._context)
        lost.end_lost(f"out of memory: {reason}")
        self.member_runs.append(lost)
        return None

    def _run_halves(
        self, members: tuple[Member, ...], stop: int, stop_condition: StopCondition
    ) -> int | None:
        """Run two halves from the start; the second goes exactly as far as the first.

        All members must end the segment at the same step, since the next segment starts all of
        them at one step. So a deadline or a request to stop ends the first half alone; the second
        then runs to the step that the first reached, however long that takes. Where no member of
        the first half is left, the second goes as far as the stop condition lets it.
        """
        half = (len(members) + 1) // 2
        self._note(f"out of memory: split {len(members)} into {half} + {len(members) - half}")
        reached = self.run(members[:half], stop, stop_condition.with_part(half / len(members)))
        if reached is None:
            return self.run(members[half:], stop, stop_condition)
        self.run(members[half:], reached, stop_condition.never_met())
        return reached

    def _note(self, text: str) -> None:
        self.notes.append(text)
        logger.info("note", extra=detail(text=text))


def _predictions_of(teacher: LoadedTeacher) -> Predict:
    return lambda images: forward(teacher.net, images, auxiliary=False).logits


def _wrote(member: Member) -> MethodError:
    return MethodError(
        f"method {member.method} wrote to a tensor that all members of a cohort share (images, "
        "labels, the teacher's outputs or a memory bank); it must work on a copy"
    )
