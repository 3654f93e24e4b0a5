"""One member's net, method and optimiser, and what a training step does with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers.errors import CheckpointError, MethodError
from trainers.method_api.loading import load_method
from trainers.method_api.method import MemoryBank, Method, Step
from trainers.method_api.registry import resolve
from trainers.models import build_net
from trainers.models.outputs import Outputs
from trainers.runtime.numerics import derive_seed, seed_generators
from trainers.tasks import Net
from trainers.training.checkpoints import Owner, State, load, save
from trainers.training.forward import forward
from trainers.training.memory_banks import MemoryBanks
from trainers.training.optimizer import (
    build_optimizer,
    clip,
    rate_left,
    set_learning_rate,
    with_params,
)
from trainers.training.preparation import equip
from trainers.training.segment import Member
from trainers.training.segment_context import SegmentContext
from trainers.training.teacher_file import LoadedTeacher


def needs_teacher(member: Member) -> bool:
    """Whether the member's method needs a teacher; MethodError where there is no such method."""
    return load_method(member.method).needs_teacher


class AuxiliaryModules:
    """A method's auxiliary modules and the rates that their optimisers began with."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._parts = dict(method.auxiliary_modules())
        self._rates = {
            name: [float(group["lr"]) for group in part.optimizer.param_groups]
            for name, part in self._parts.items()
        }

    def others(self, parameters: list[nn.Parameter]) -> list[nn.Parameter]:
        """Return those of the parameters that belong to no auxiliary module."""
        theirs = {id(p) for part in self._parts.values() for p in part.module.parameters()}
        return [parameter for parameter in parameters if id(parameter) not in theirs]

    def train_step(self, step: Step, factor: float) -> None:
        """Do each auxiliary module's step; `factor` is what is left of the schedule's rate."""
        if not self._parts:
            return
        for part in self._parts.values():  # the student's loss went through some of them
            part.optimizer.zero_grad(set_to_none=True)
        for name, loss in self._method.auxiliary_losses(step).items():
            part = self._parts[name]
            loss.backward()  # type: ignore[no-untyped-call]
            for group, rate in zip(part.optimizer.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * factor if part.decays else rate
            part.optimizer.step()
            part.optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, dict[str, Any]]:
        """Return the states of the optimisers."""
        return {name: part.optimizer.state_dict() for name, part in self._parts.items()}

    def restore(self, states: Mapping[str, dict[str, Any]]) -> None:
        """Set the optimisers to stored states."""
        for name, state in states.items():
            self._parts[name].optimizer.load_state_dict(state)


class StudentTrainer:
    """One student in training; all that a step changes lies in here but for a cohort's memory bank.

    Random numbers, a method's too, are drawn from torch's global generator, seeded anew at every
    step from (seed, step) alone: neither the rest of a cohort nor an interruption can shift them,
    and no state of a generator has to be stored.
    """

    def __init__(
        self,
        member: Member,
        context: SegmentContext,
        teacher: LoadedTeacher | None,
        memory_banks: MemoryBanks,
    ) -> None:
        """Build the member's state at the segment's start.

        MethodError where the method needs a teacher and there is none; CheckpointError where the
        segment's step and the member's checkpoint do not go together; UnusableFile where that is
        gone, damaged or not its own.
        """
        self._member, self._segment = member, context.segment
        self._schedule = with_params(context.segment.task.schedule, member.params)
        kind = load_method(member.method)
        if kind.needs_teacher and teacher is None:
            raise MethodError(f"method {member.method} needs a teacher, and there is none")
        own_teacher = teacher if kind.needs_teacher else None
        self._hashes = {"teacher": None if own_teacher is None else own_teacher.weights_hash}
        self._data = context.data
        self._check_start()
        self._seed("student")  # apart from the method's: all students begin with equal weights
        self.net = build_net(self._net_to_build(), context.num_classes)
        self._seed("method")
        values = resolve(member.method, dict(member.params))
        shape = None if own_teacher is None else own_teacher.net.shape
        self.method: Method = kind(values, self.net.shape, shape)
        if own_teacher is not None:
            self._hashes["preparation"] = equip(self.method, context.segment, own_teacher)
        self._place(context.device)
        self._memory_banks, self.memory_bank = memory_banks, self._fill_memory_bank(memory_banks)
        if member.checkpoint is not None:
            self._restore(member.checkpoint)

    @property
    def needs_teacher(self) -> bool:
        """Whether it learns from a teacher."""
        return self.method.needs_teacher

    @property
    def needs_teacher_aux(self) -> bool:
        """Whether it uses the teacher's auxiliary logits."""
        return self.method.needs_teacher_aux

    def _fill_memory_bank(self, memory_banks: MemoryBanks) -> MemoryBank | None:
        self._seed("memory")
        memory_bank = self.method.memory_bank()
        if memory_bank is None:
            return None
        start = self._segment.start
        return memory_banks.get_or_load(
            memory_bank, self._member.checkpoint, self._memory_bank_identity(start)
        )

    def _memory_bank_identity(self, step: int) -> dict[str, Any]:
        """Return all that a memory bank at `step` depends on."""
        owner = asdict(self._owner(step))
        return {name: owner[name] for name in ("task", "seed", "step", "data", "teacher")}

    def _check_start(self) -> None:
        start, file = self._segment.start, self._member.checkpoint
        if (start == 0) != (file is None):
            raise CheckpointError(
                f"{self._member.key}: a segment from step {start} must have "
                f"{'no checkpoint' if start == 0 else 'the checkpoint of that step'}, got {file}"
            )

    def _net_to_build(self) -> Net:
        """Return the student; weights from outside are not read where a checkpoint has them all."""
        net = self._segment.task.student
        if self._member.checkpoint is None:
            return net
        return net.model_copy(update={"weights": "none"})

    def _place(self, device: torch.device) -> None:
        self.net = self.net.to(device).train()
        self.method = self.method.to(device).train()
        self._auxiliary_modules = AuxiliaryModules(self.method)
        own = self._auxiliary_modules.others(list(self.method.parameters()))
        self._optimizer = build_optimizer([*self.net.parameters(), *own], self._schedule)

    def _seed(self, *purpose: object) -> None:
        seed_generators(derive_seed(self._segment.seed, *purpose))

    def train_step(
        self, images: Tensor, labels: Tensor, teacher: Outputs | None, step: int
    ) -> Tensor:
        """Do step `step` (counted from 0) and return its loss, detached, still on the device."""
        self._seed("step", step)
        student = forward(self.net, images, auxiliary=True)
        progress = step / self._schedule.steps
        seen = Step(
            student=student,
            teacher=teacher,
            labels=labels,
            progress=progress,
            memory_bank=self.memory_bank,
        )
        loss = self.method.total(seen, self._schedule.auxiliary_weight)
        loss.backward()  # type: ignore[no-untyped-call]
        set_learning_rate(self._optimizer, self._schedule, step)
        clip(self._optimizer, self._schedule)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._auxiliary_modules.train_step(seen, rate_left(self._schedule, step))
        return loss.detach().reshape(())

    def predict(self, images: Tensor) -> Tensor:
        """Return the student's logits (B, K, h, w) in evaluation mode; nothing of it changes.

        To be called under inference mode.
        """
        self.net.eval()
        logits = forward(self.net, images, auxiliary=False).logits
        self.net.train()
        return logits

    def is_finite(self) -> bool:
        """Whether the student's weights and buffers are all finite."""
        return all(bool(tensor.isfinite().all()) for tensor in self.net.state_dict().values())

    def save(self, file: Path, step: int) -> str:
        """Write the state at `step` to `file` and return the hash of the student's weights."""
        last = step == self._schedule.steps
        state = State(
            student=self.net.state_dict(),
            method=self.method.state_dict(),
            optimizer=None if last else self._optimizer.state_dict(),
            auxiliary_modules={} if last else self._auxiliary_modules.state(),
        )
        if self.memory_bank is not None and not last:
            self._memory_banks.save(self.memory_bank, file, self._memory_bank_identity(step))
        return save(file, self._owner(step), state)

    def _owner(self, step: int) -> Owner:
        return Owner.of(self._segment, self._member, step=step, data=self._data, **self._hashes)

    def _restore(self, file: Path) -> None:
        state = load(file, self._owner(self._segment.start))
        self.net.load_state_dict(state.student)
        self.method.load_state_dict(state.method)
        if state.optimizer is not None:
            self._optimizer.load_state_dict(state.optimizer)
        self._auxiliary_modules.restore(state.auxiliary_modules)
