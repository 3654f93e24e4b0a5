"""A trainer without torch: values are a function of parameters and step, failures are on order."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from trainers.training.segment import Control, Ending, Member, MemberOutcome, Outcome, Segment

PICTURE = b"stands for a PNG"

Fault = Callable[[Member], Ending | None]


def no_fault(member: Member) -> Ending | None:
    return None


class Killed(Exception):
    """Stands for a process that dies in the middle of a segment."""


@dataclass
class FakeTrainer:
    """Runs segments at once; `cut` stops each of them short, `die_at` kills the driver."""

    fault: Fault = no_fault
    cut: Callable[[Segment], int] = lambda segment: segment.stop
    die_at: int | None = None  # the how manieth segment is never answered
    segments: list[Segment] = field(default_factory=list)

    def run(self, segment: Segment, control: Control) -> Outcome:
        self.segments.append(segment)
        step = min(max(self.cut(segment), segment.start + 1), segment.stop)
        control.on_progress(step)
        if len(self.segments) - 1 == self.die_at:
            raise Killed
        members = tuple(self._train(segment, member, step) for member in segment.members)
        interrupted = step < segment.stop
        return Outcome(
            members=members,
            wall_seconds=1.0,
            device_name="fake",
            interrupted=interrupted,
            code_hash="code",
        )

    def _train(self, segment: Segment, member: Member, step: int) -> MemberOutcome:
        assert (member.checkpoint is None) == (segment.start == 0)
        if member.checkpoint is not None:
            assert json.loads(member.checkpoint.read_text())["step"] == segment.start
        ending = self.fault(member) or Ending.REACHED
        if ending is not Ending.REACHED:
            is_begun = ending not in (Ending.LOST, Ending.DAMAGED)
            return MemberOutcome(
                key=member.key,
                ending=ending,
                step=step if is_begun else segment.start,
                seconds=0.5,
                reason="on order",
                damaged=member.checkpoint if ending is Ending.DAMAGED else None,
            )
        segment.folder.mkdir(parents=True, exist_ok=True)
        file = segment.folder / f"{member.key.replace('/', '-')}-{step}.pt"
        file.write_text(json.dumps({"step": step}))
        return MemberOutcome(
            key=member.key,
            ending=ending,
            step=step,
            seconds=0.5,
            checkpoint=file,
            weights_hash=hashlib.sha256(f"{member.params}{step}".encode()).hexdigest(),
            score=quality(member, step) if step == segment.stop else None,
            losses=((step, 1.0),),
            picture=PICTURE if step == segment.task.schedule.steps else None,
        )


def quality(member: Member, step: int) -> float:
    """Return a smooth mIoU with its optimum at learning rate 0.03; methods differ a little."""
    distance = math.log10(float(member.params["learning_rate"]) / 0.03) ** 2
    bonus = float(member.params.get("multiplier", 1.0)) ** 0.1
    return 60.0 * (1 - math.exp(-step / 30)) - 10 * distance + bonus
