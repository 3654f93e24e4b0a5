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
from trainers.training.member import Learner
from trainers.training.member_run import Trainee
from trainers.training.memory_banks import Memories
from trainers.training.preparation import Preparer
from trainers.training.previews import Predict
from trainers.training.resources import Library, Resources, in_batches, normalisation_of
from trainers.training.segment import Control, Member, Outcome, Segment
from trainers.training.segment_context import Classroom
from trainers.training.segment_log import say_ended, segment_log
from trainers.training.shared_step import share
from trainers.training.teacher import LoadedTeacher

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long whoever started a segment lets it run."""

    control: Control
    deadline: float | None = None  # by time.perf_counter()

    def is_over(self) -> bool:
        """Whether to stop at the step boundary reached."""
        late = self.deadline is not None and time.perf_counter() >= self.deadline
        return late or self.control.should_stop()

    def share(self, part: float) -> Patience:
        """Return the patience with `part` of the time that is left."""
        if self.deadline is None:
            return self
        now = time.perf_counter()
        return Patience(control=self.control, deadline=now + part * (self.deadline - now))

    def without_end(self) -> Patience:
        """Return the patience of one who only wants to hear how far it is."""
        return Patience(
            control=Control(on_progress=self.control.on_progress, on_sign=self.control.on_sign)
        )


class Cohort:
    """Members that go through a segment together."""

    def __init__(self, members: tuple[Member, ...], room: Classroom, resources: Resources) -> None:
        self.trainees = [Trainee(member, room) for member in members]
        self._segment, self._resources = room.segment, resources
        self._teacher: LoadedTeacher | None = None
        self._memories = Memories(room.segment.seed, room.device)
        self.notes: list[str] = []

    def run(self, stop: int, patience: Patience) -> int | None:
        """Train to `stop`, or to where patience ends; evaluate if that is asked; store the states.

        Returns the step reached; None where no member is left.
        """
        self._enrol()
        step = self._train(stop, patience)
        for trainee in self.trainees:
            trainee.look()
        evaluated = self._segment.evaluate and step == self._segment.stop
        confusions = self._evaluate(patience.control) if evaluated else {}
        is_last = evaluated and step == self._segment.task.schedule.steps
        for trainee, learner in self._active():
            picture = self._picture(trainee, learner) if is_last else None
            trainee.finish(step, confusions.get(trainee), picture)
        return step if any(trainee.has_reached for trainee in self.trainees) else None

    def _enrol(self) -> None:
        """Load the teacher where anybody needs it, then build the members' states."""
        taught = [trainee for trainee in self.trainees if trainee.needs_teacher()]
        try:
            if taught:
                self._teacher = self._resources.lend_teacher()
        except UnusableFile as error:
            for trainee in taught:
                trainee.go_without(error)
        for trainee in self.trainees:
            trainee.enrol(self._teacher, self._memories)

    def _active(self) -> list[tuple[Trainee, Learner | Preparer]]:
        return [(t, t.learner) for t in self.trainees if t.learner is not None]

    def _train(self, stop: int, patience: Patience) -> int:
        for step in range(self._segment.start, stop):
            if not self._active():
                break
            self._train_step(step)
            patience.control.on_progress(step + 1)
            if step + 1 < stop and patience.is_over():
                return step + 1
        return stop

    def _train_step(self, step: int) -> None:
        active = self._active()
        learners = [learner for _, learner in active]
        shared = share(self._resources, self._teacher, learners, step)
        if shared.teacher is not None:
            self._memories.update(shared.teacher, shared.labels, step)
        for trainee, learner in active:
            if trainee.learner is None:
                continue
            trainee.train_step(learner, shared, step)
            if shared.is_changed():
                trainee.fail(_wrote(trainee.member))
                shared = share(self._resources, self._teacher, learners, step)
            if self._memories.are_changed():
                self._fail_remembering(trainee.member)

    def _fail_remembering(self, culprit: Member) -> None:
        """End all members with a memory: what one of them wrote to cannot be had again."""
        for trainee, learner in self._active():
            if learner.memory is not None or trainee.member is culprit:
                trainee.fail(_wrote(culprit))

    @torch.inference_mode()
    def _evaluate(self, control: Control) -> dict[Trainee, Confusion]:
        """Return each member's confusion matrix on the split it is judged on, images read once."""
        device, num_classes = self._resources.device, self._resources.dataset.num_classes
        kind = ImageConfusions if self._segment.judged_on == "report" else Confusion
        confusions = {trainee: kind(num_classes, device) for trainee, _ in self._active()}
        for images, labels in self._resources.judged_batches():
            for trainee, learner in self._active():
                with trainee.watch.running():
                    logits = resize_bilinear(learner.predict(images), labels.shape[-2:])
                    confusions[trainee].add(logits, labels)
            control.on_sign()
        return confusions

    @torch.inference_mode()
    def _picture(self, trainee: Trainee, learner: Learner | Preparer) -> bytes | None:
        """Return a picture of what the member predicts; without one it has lost nothing.

        The teacher stands in it where the member's method has one, whoever else is in the cohort.
        """
        teacher = self._teacher if learner.needs_teacher else None
        taught = None if teacher is None else (teacher.weights_hash, _predictions_of(teacher))
        try:
            with trainee.watch.running():
                return self._resources.lend_gallery().draw(learner.predict, taught)
        except torch.AcceleratorError:
            raise
        except (RuntimeError, MemoryError, OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            self.notes.append(f"no picture of {trainee.member.key}: {reason}")
            return None


@dataclass(frozen=True, kw_only=True)
class Score:
    """A net's worth on the selection split."""

    miou: float  # percent
    weights_hash: str


class Trainer:
    """Runs segments, and keeps data, teacher and what fits from one to the next."""

    def __init__(self) -> None:
        self._library = Library()
        self._fitting: dict[tuple[str, str], int] = {}  # (task, device) -> members at once

    def dataset(self, data: Data, root: Path | None) -> Dataset:
        """Return a data set, kept for the segments that follow; DataError where it is lacking."""
        return self._library.dataset(data, root)

    def run(self, segment: Segment, control: Control | None = None) -> Outcome:
        """Train the segment's members and say what became of each.

        Raises a UserError where data or teacher cannot be had; a member's own faults end that
        member alone. Where memory does not suffice, the halves of the cohort run one after the
        other.
        """
        with segment_log(segment):
            ended = self._run(segment, control or Control())
            outcome = replace(ended, code_hash=imported_code().hash)
            say_ended(segment, outcome)
        return outcome

    def _run(self, segment: Segment, control: Control) -> Outcome:
        began = time.perf_counter()
        device = torch.device(segment.device)
        configure(device, segment.deterministic, segment.task.threads)
        resources = self._library.lend(segment)
        room = Classroom(
            segment=segment,
            device=device,
            num_classes=resources.dataset.num_classes,
            data=resources.dataset.fingerprint,
        )
        if segment.calibrates:
            return _calibrated(room, resources, control, began)
        deadline = None if segment.max_seconds is None else began + segment.max_seconds
        place = (task_hash(segment.task), segment.device)
        course = _Course(room, resources, self._fitting.get(place, len(segment.members)))
        patience = Patience(control=control, deadline=deadline)
        step = course.run(segment.members, segment.stop, patience)
        if course.most < len(segment.members):
            self._fitting[place] = course.most
        wall = time.perf_counter() - began
        common = max(0.0, wall - sum(trainee.watch.read() for trainee in course.trainees))
        share_of_common = common / len(segment.members)
        return Outcome(
            members=tuple(trainee.outcome(share_of_common) for trainee in course.trainees),
            wall_seconds=wall,
            device_name=device_name(device),
            interrupted=step is not None and step < segment.stop,
            notes=tuple(course.notes),
        )

    def score_teacher(self, task: Task, file: Path, root: Path | None, device: str) -> Score:
        """Return how good the teacher in `file` is; CheckpointError where it is not the task's."""
        place = torch.device(device)
        configure(place, deterministic=False, threads=task.threads)
        dataset = self.dataset(task.data, root)
        teacher = self._library.teacher(task, file, dataset.num_classes, place)
        confusion = Confusion(dataset.num_classes, place)
        split, size = dataset.selection.to(place), task.schedule.image_batch
        with torch.inference_mode():
            for images, labels in in_batches(split, size, normalisation_of(task, dataset)):
                logits = forward(teacher.net, images, auxiliary=False).logits
                confusion.add(resize_bilinear(logits, labels.shape[-2:]), labels)
        miou, _ = confusion.scores()
        return Score(miou=miou, weights_hash=teacher.weights_hash)


def _calibrated(room: Classroom, resources: Resources, control: Control, began: float) -> Outcome:
    try:
        members = calibrate(room, resources, control)
    except UnusableFile as error:  # all are measured at one student, most with one teacher
        trainees = [Trainee(member, room) for member in room.segment.members]
        for trainee in trainees:
            trainee.go_without(error)
        members = [trainee.outcome(0.0) for trainee in trainees]
    wall = time.perf_counter() - began
    return Outcome(
        members=tuple(replace(member, seconds=wall / len(members)) for member in members),
        wall_seconds=wall,
        device_name=device_name(room.device),
        interrupted=control.should_stop(),
    )


class _Course:
    """A segment's cohort, in halves where memory demands it; collects those that are done."""

    def __init__(self, room: Classroom, resources: Resources, most: int) -> None:
        """Begin with nobody done, and at most `most` members at once."""
        self.trainees: list[Trainee] = []
        self.notes: list[str] = []
        self.most = most
        self._room, self._resources = room, resources

    def run(self, members: tuple[Member, ...], stop: int, patience: Patience) -> int | None:
        """Run members from the segment's start.

        Returns the step reached, one for all of them; None where no member is left.
        """
        if len(members) > self.most:
            return self._run_halves(members, stop, patience)
        cohort = Cohort(members, self._room, self._resources)
        try:
            step = cohort.run(stop, patience)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0]
        else:
            self.trainees += cohort.trainees
            self.notes += cohort.notes
            return step
        # Below, since within the handler the traceback would still hold the failed try's tensors.
        del cohort
        release_memory()
        if len(members) > 1:
            self.most = (len(members) + 1) // 2
            return self._run_halves(members, stop, patience)
        self._note(f"out of memory: {members[0].key} does not fit alone")
        lost = Trainee(members[0], self._room)
        lost.lose(f"out of memory: {reason}")
        self.trainees.append(lost)
        return None

    def _run_halves(self, members: tuple[Member, ...], stop: int, patience: Patience) -> int | None:
        """Run two halves from the start; the second goes exactly as far as the first.

        Where the first comes to nothing, the second goes as far as patience lets it.
        """
        half = (len(members) + 1) // 2
        self._note(f"out of memory: split {len(members)} into {half} + {len(members) - half}")
        reached = self.run(members[:half], stop, patience.share(half / len(members)))
        if reached is None:
            return self.run(members[half:], stop, patience)
        self.run(members[half:], reached, patience.without_end())
        return reached

    def _note(self, text: str) -> None:
        self.notes.append(text)
        logger.info("note", extra=detail(text=text))


def _predictions_of(teacher: LoadedTeacher) -> Predict:
    return lambda images: forward(teacher.net, images, auxiliary=False).logits


def _wrote(member: Member) -> MethodError:
    return MethodError(
        f"method {member.method} wrote to a tensor that all members of a cohort share (images, "
        "labels, the teacher's outputs or a memory); it must work on a copy"
    )
