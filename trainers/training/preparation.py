"""Training a method's preparation: once per teacher, by the same loop that trains students."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from trainers.errors import MethodError, UnusableFile
from trainers.method_api.loading import load_method, preparation_name
from trainers.method_api.method import MemoryBank, Method, Preparation
from trainers.models.outputs import Outputs
from trainers.runtime.numerics import derive_seed, seed_generators
from trainers.training.checkpoints import Owner, State, load, read_ours, save, weights_hash
from trainers.training.segment import Member, Segment
from trainers.training.segment_context import SegmentContext
from trainers.training.teacher_file import LoadedTeacher


class PreparationTrainer:
    """One preparation in training; a cohort trains it as it does a student."""

    needs_teacher = True
    needs_teacher_aux = False
    memory_bank: MemoryBank | None = None

    def __init__(
        self, member: Member, context: SegmentContext, teacher: LoadedTeacher | None
    ) -> None:
        """Build its state at the segment's start; MethodError without a teacher or preparation."""
        kind = load_method(member.method).preparation
        if kind is None or teacher is None:
            missing = "a teacher" if kind else "a preparation to train"
            raise MethodError(f"method {member.method}: there is no {missing}")
        self._member, self._context, self._teacher = member, context, teacher
        seed_generators(derive_seed(context.segment.seed, "preparation"))
        self.net: Preparation = kind(teacher.net.shape).to(context.device).train()
        self._optimizer = self.net.build_optimizer()
        if member.checkpoint is not None:
            state = load(member.checkpoint, self._owner(context.segment.start))
            self.net.load_state_dict(state.student)
            if state.optimizer is not None:
                self._optimizer.load_state_dict(state.optimizer)

    def train_step(
        self, images: Tensor, labels: Tensor, teacher: Outputs | None, step: int
    ) -> Tensor:
        """Do step `step` (counted from 0) and return its loss, detached, still on the device."""
        del images
        if teacher is None:
            raise MethodError(f"method {self._member.method}: its preparation needs a teacher")
        seed_generators(derive_seed(self._context.segment.seed, "preparation", step))
        loss = self.net.loss(teacher, labels, self._teacher.net.classifier)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return loss.detach().reshape(())

    def predict(self, images: Tensor) -> Tensor:
        """Raise MethodError: a preparation predicts nothing and cannot be evaluated."""
        raise MethodError(f"{self._member.key} cannot be evaluated on {tuple(images.shape)}")

    def is_finite(self) -> bool:
        """Whether all weights and buffers are finite."""
        return all(bool(tensor.isfinite().all()) for tensor in self.net.state_dict().values())

    def save(self, file: Path, step: int) -> str:
        """Write the state at `step` to `file` and return the hash of its weights."""
        last = step == self._context.segment.task.schedule.steps
        optimizer = None if last else self._optimizer.state_dict()
        state = State(
            student=self.net.state_dict(), method={}, optimizer=optimizer, auxiliary_modules={}
        )
        return save(file, self._owner(step), state)

    def _owner(self, step: int) -> Owner:
        context = self._context
        return Owner.of(
            context.segment,
            self._member,
            step=step,
            data=context.data,
            teacher=self._teacher.weights_hash,
        )


def equip(method: Method, segment: Segment, teacher: LoadedTeacher) -> str | None:
    """Give a method its trained preparation, if it needs one; return the hash of its weights.

    UnusableFile where the preparation's file is gone, damaged or another's.
    """
    files = segment.preparations
    kind, name = type(method).preparation, preparation_name(type(method))
    if kind is None or name is None:
        return None
    if name not in files:
        raise MethodError(f"method {name} needs its preparation, and there is none: train it first")
    preparation = kind(teacher.net.shape)
    digest = _load(preparation, files[name], segment.hashes.get(files[name]))
    # It is no part of the method, so it does not go where that goes.
    method.equip(preparation.to(next(teacher.net.parameters()).device))
    return digest


def _load(preparation: Preparation, file: Path, wanted: str | None) -> str:
    """Load a preparation's weights, which must have the hash `wanted`; return their hash."""
    content = read_ours(file, wanted)
    try:
        preparation.load_state_dict(content["student"])
    except (KeyError, RuntimeError) as error:
        raise UnusableFile(file, "belongs to something else: not the preparation") from error
    return weights_hash(preparation.state_dict())
