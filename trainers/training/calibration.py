"""The gradient-norm ratio of a method's terms to the task loss: one number a batch.

Ranges of weights around published values are no equal treatment, since the ratios at published
weights run over ten orders of magnitude. So the range of a method's multiplier is set by its
effect: the ratio is |gradient of all terms at published weights| / |gradient of the task loss|,
both with respect to the student's head features, and a multiplier of 1 / ratio makes them equal.
Where no term reaches the head's features, the deepest feature that one reaches takes their place.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

import torch
from torch import Tensor

from search_spaces import BASELINE
from trainers.errors import CODE_ERRORS, CheckpointError, UnusableFile, UserError
from trainers.method_api.loading import load_method
from trainers.method_api.method import MemoryBank, Method, Step
from trainers.method_api.registry import resolve
from trainers.method_api.task_loss import cross_entropy
from trainers.models.outputs import Outputs
from trainers.runtime.numerics import derive_seed, seed_generators
from trainers.runtime.out_of_memory import release_memory
from trainers.training.forward import forward_raw, in_float32
from trainers.training.member import StudentTrainer
from trainers.training.memory_banks import MemoryBanks
from trainers.training.preparation import equip
from trainers.training.resources import Resources
from trainers.training.segment import CALIBRATION_BATCHES, Control, Ending, Member, MemberOutcome
from trainers.training.segment_context import SegmentContext
from trainers.training.shared_step import Shared, share
from trainers.training.teacher_file import LoadedTeacher

FEATURES = ("head", "stage4", "stage3", "stage2", "stage1")  # from the deepest up


def calibrate(
    context: SegmentContext, resources: Resources, control: Control
) -> list[MemberOutcome]:
    """Return each member's gradient-norm ratios, at a baseline's checkpoint at the segment's start.

    A method that raises, or that memory does not suffice for, ends that member alone, as FAILED.
    Nothing is trained or written. UnusableFile where a file of student, teacher or a preparation is
    gone, damaged or another's.
    """
    segment, teacher = context.segment, resources.get_teacher()
    student = _student(context)
    measured = [_MeasuredMethod(member, context) for member in segment.members]
    for method in measured:
        method.attempt(lambda: method.build(student, teacher))  # noqa: B023 - called at once
    for step in range(segment.start, segment.start + CALIBRATION_BATCHES):
        active = [method for method in measured if method.failure is None]
        if not active or control.should_stop():
            break
        shared = share(resources.batches, teacher, active, step)
        seed_generators(derive_seed(segment.seed, "step", step))
        raw = forward_raw(student.net, shared.images, auxiliary=True)
        task = _GradientNorms(raw, cross_entropy(in_float32(raw), shared.labels, 0.0))
        for method in active:
            method.attempt(lambda: method.measure(raw, task, shared, step))  # noqa: B023
        control.on_progress(segment.start)
    return [method.outcome() for method in measured]


class _GradientNorms:
    """The norms of a loss' gradients with respect to the student's features."""

    def __init__(self, raw: Outputs, loss: Tensor) -> None:
        features = [raw.features[name] for name in FEATURES]
        given = torch.autograd.grad(loss, features, retain_graph=True, allow_unused=True)
        self._norms = {
            name: None if gradient is None else gradient.float().norm()
            for name, gradient in zip(FEATURES, given, strict=True)
        }

    def at(self, feature: str) -> Tensor:
        """Return the norm at that feature; 0 where the loss does not reach it."""
        norm = self._norms[feature]
        return torch.zeros(()) if norm is None else norm

    @property
    def deepest(self) -> str:
        """The deepest feature that the loss reaches."""
        return next((name for name in FEATURES if self._norms[name] is not None), FEATURES[0])


class _MeasuredMethod:
    """One method under measurement."""

    needs_teacher: bool = True
    needs_teacher_aux: bool = False

    def __init__(self, member: Member, context: SegmentContext) -> None:
        self._member, self._context = member, context
        self._memory_banks = MemoryBanks(context.segment.seed, context.device)
        self._memory_bank: MemoryBank | None = None
        self._method: Method | None = None
        self._gradient_ratios: list[float] = []
        self._feature: str | None = None
        self.failure: str | None = None

    def attempt(self, action: Callable[[], None]) -> None:
        """Do a part of the measurement; an error of the method's ends this member alone."""
        if self.failure is not None:
            return
        try:
            action()
        except (torch.AcceleratorError, UnusableFile):
            raise
        except (UserError, MemoryError, *CODE_ERRORS) as error:
            last = traceback.format_exception_only(error)[-1].strip()
            self.failure = "\n".join([last, *traceback.format_exception(error)])
        if self.failure is not None:  # after the handler, whose traceback keeps tensors alive
            self._method = self._memory_bank = None
            release_memory()  # where it did not suffice, the others need it

    def build(self, student: StudentTrainer, teacher: LoadedTeacher | None) -> None:
        """Build the method as a trial at its start would."""
        kind = load_method(self._member.method)
        self.needs_teacher, self.needs_teacher_aux = kind.needs_teacher, kind.needs_teacher_aux
        values = resolve(self._member.method, dict(self._member.params))
        seed_generators(derive_seed(self._context.segment.seed, "method"))
        own_teacher = teacher if kind.needs_teacher else None
        method = kind(
            values, student.net.shape, None if own_teacher is None else own_teacher.net.shape
        )
        if own_teacher is not None:
            equip(method, self._context.segment, own_teacher)
        self._method = method.to(self._context.device).train()
        memory_bank = self._method.memory_bank()
        if memory_bank is not None:
            self._memory_bank = self._memory_banks.get_or_load(memory_bank, None, {})

    def measure(self, raw: Outputs, task: _GradientNorms, shared: Shared, step: int) -> None:
        """Note the ratio of the gradients' norms on one image batch."""
        teacher, segment = shared.teacher_for(self), self._context.segment
        if self._method is None:
            raise ValueError(f"{self._member.key} was not built before it was measured")
        if teacher is not None:
            self._memory_banks.update(teacher, shared.labels, step)
        seen = Step(
            student=in_float32(raw),
            teacher=teacher,
            labels=shared.labels,
            progress=min(step / segment.task.schedule.steps, 1.0),
            memory_bank=self._memory_bank,
        )
        seed_generators(derive_seed(segment.seed, "step", step))
        losses = self._method.losses(seen)
        weighted = [float(self._method.values[name]) * loss for name, loss in losses.items()]
        norms = _GradientNorms(raw, torch.stack(weighted).sum())
        self._feature = self._feature or norms.deepest
        ratio = norms.at(self._feature) / task.at(self._feature)
        self._gradient_ratios.append(float(ratio))

    def outcome(self) -> MemberOutcome:
        """Return what was measured, or why nothing was."""
        ending = Ending.REACHED if self.failure is None else Ending.FAILED
        return MemberOutcome(
            key=self._member.key,
            ending=ending,
            step=self._context.segment.start,
            seconds=0.0,
            gradient_ratios=tuple(self._gradient_ratios),
            feature=self._feature,
            reason=self.failure,
        )


def _student(context: SegmentContext) -> StudentTrainer:
    """Return the baseline whose checkpoint the members name: one for all of them."""
    files = {member.checkpoint for member in context.segment.members}
    if len(files) != 1:
        raise CheckpointError(
            f"a calibration measures at one student's checkpoint, got {sorted(map(str, files))}"
        )
    baseline = Member(key="baseline", method=BASELINE, params={}, checkpoint=files.pop())
    return StudentTrainer(
        baseline, context, None, MemoryBanks(context.segment.seed, context.device)
    )
