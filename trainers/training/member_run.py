"""One member during a segment: its losses, and how it ends without disturbing the others."""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from trainers.errors import CheckpointError, TaskError, UnusableFile
from trainers.runtime.json_log import detail
from trainers.runtime.out_of_memory import is_out_of_memory
from trainers.runtime.stopwatch import Stopwatch
from trainers.training.checkpoints import file_of
from trainers.training.evaluation import Confusion, ImageConfusions
from trainers.training.member import StudentTrainer, needs_teacher
from trainers.training.memory_banks import MemoryBanks
from trainers.training.preparation import PreparationTrainer
from trainers.training.segment import Ending, Member, MemberOutcome
from trainers.training.segment_context import SegmentContext
from trainers.training.shared_step import Shared
from trainers.training.teacher_file import LoadedTeacher

LOSS_POINTS = 100  # kept of a whole training, at the same steps however it is cut into segments
CHECK_EVERY = 20  # steps between checks of the losses on a GPU, since each check waits for it

logger = logging.getLogger(__name__)


class MemberRun:
    """One member during a segment; `trainer` is None once it has ended, which frees its memory."""

    def __init__(self, member: Member, context: SegmentContext) -> None:
        self.member = member
        self.watch = Stopwatch(context.device)
        self.trainer: StudentTrainer | PreparationTrainer | None = None
        self._segment = context.segment
        self._check_every = CHECK_EVERY if context.device.type == "cuda" else 1
        self._keep_every = math.ceil(context.segment.task.schedule.steps / LOSS_POINTS)
        self._pending: list[Tensor] = []
        self._losses: list[tuple[int, float]] = []
        self._ended: MemberOutcome | None = None
        self._step = context.segment.start
        self._context = context

    def needs_teacher(self) -> bool:
        """Whether the member's method needs one; a fault in loading the method ends the member."""
        answers: list[bool] = []
        self.attempt(lambda: answers.append(needs_teacher(self.member)))
        return any(answers)

    def build(self, teacher: LoadedTeacher | None, memory_banks: MemoryBanks) -> None:
        """Build the member's state at the segment's start; a fault in that ends the member."""

        def build() -> None:
            if self.member.prepares:
                self.trainer = PreparationTrainer(self.member, self._context, teacher)
            else:
                self.trainer = StudentTrainer(self.member, self._context, teacher, memory_banks)

        if self._ended is None:
            self.attempt(build)

    def attempt(self, action: Callable[[], None]) -> None:
        """Do a part of the member's training; an error in it ends this member alone.

        An error of the device is no fault of the method, and lack of memory concerns the cohort.
        """
        try:
            with self.watch.running():
                action()
        except torch.AcceleratorError:
            raise
        except UnusableFile as error:
            self.end_damaged(error)
        except (CheckpointError, TaskError) as error:
            self.end_lost(str(error))
        except Exception as error:  # noqa: BLE001 - a method is not our code: it may raise anything
            if is_out_of_memory(error):
                raise
            self.end_failed(error)

    def train_step(
        self, trainer: StudentTrainer | PreparationTrainer, shared: Shared, step: int
    ) -> None:
        """Do step `step`, counted from 0."""

        def act() -> None:
            teacher = shared.teacher_for(trainer)
            loss = trainer.train_step(shared.images, shared.labels, teacher, step)
            self._note_loss(step + 1, loss)

        self.attempt(act)

    def _note_loss(self, step: int, loss: Tensor) -> None:
        """Note the loss of step `step` (counted from 1); it is checked now and then."""
        self._step = step
        self._pending.append(loss)
        if step % self._check_every == 0:
            self.check_losses()

    def check_losses(self) -> None:
        """Check the losses noted since the last check; the first that is not finite is the end."""
        if not self._pending:
            return
        first = self._step - len(self._pending) + 1
        losses = torch.stack(self._pending).tolist()
        self._pending.clear()
        self.watch.read()  # the device was just waited for; events would pile up otherwise
        for step, loss in enumerate(losses, first):
            if not math.isfinite(loss):
                self._end(Ending.DIVERGED, step)
                return
            if step % self._keep_every == 0:
                self._losses.append((step, loss))
                logger.info("loss", extra=detail(member=self.member.key, step=step, loss=loss))

    def end_failed(self, error: Exception) -> None:
        """End the member with an error of its method; the reason begins with the error's last line.

        Where its weights are no longer finite it has diverged: many an operation raises on NaN.
        """
        self.check_losses()
        if self._ended is not None:
            return
        if self.trainer is not None and not self.trainer.is_finite():
            self._end(Ending.DIVERGED, self._step + 1)
            return
        last = traceback.format_exception_only(error)[-1].strip()
        reason = "\n".join([last, *traceback.format_exception(error)])
        self._end(Ending.FAILED, self._step, reason=reason)

    def end_lost(self, reason: str) -> None:
        """End the member for a reason outside of its method; it stays where the segment began."""
        start = self._segment.start
        self._end(Ending.LOST, start, checkpoint=self.member.checkpoint, reason=reason)

    def end_damaged(self, error: UnusableFile) -> None:
        """End the member where it began: a file that it needs cannot be used."""
        start, reason = self._segment.start, str(error).partition("\n")[0]
        self._end(Ending.DAMAGED, start, reason=reason, damaged=error.file)

    def finish(self, step: int, confusion: Confusion | None, picture: bytes | None = None) -> None:
        """Store the state at `step`, and the score where there is one; NaN means diverged."""
        if self.trainer is None:
            return
        score, class_iou = confusion.scores() if confusion else (None, ())
        if score is not None and not math.isfinite(score):
            self._end(Ending.DIVERGED, step)
            return
        file = file_of(self._segment.folder, self.member.key, step)
        stored = {"checkpoint": file, "weights_hash": self.trainer.save(file, step)}
        packed = confusion.packed() if isinstance(confusion, ImageConfusions) else None
        scores = {"score": score, "class_iou": class_iou, "confusions": packed}
        self._end(Ending.REACHED, step, **scores, picture=picture, **stored)

    @property
    def has_reached(self) -> bool:
        """Whether the member came to the end of the segment, or to where it was cut short."""
        return self._ended is not None and self._ended.ending is Ending.REACHED

    def outcome(self, common_seconds: float) -> MemberOutcome:
        """Return what became of the member, given its share of the time that was common."""
        if self._ended is None:
            raise ValueError(f"member {self.member.key} has not ended")
        seconds = self.watch.read() + common_seconds
        return replace(self._ended, seconds=seconds, losses=tuple(self._losses))

    def _end(self, ending: Ending, step: int, **rest: Any) -> None:
        self.trainer = None
        key = self.member.key
        logged = {
            name: value for name, value in rest.items() if not isinstance(value, bytes | None)
        }
        logger.info("member ended", extra=detail(member=key, ending=ending, step=step, **logged))
        self._ended = MemberOutcome(key=key, ending=ending, step=step, seconds=0.0, **rest)
