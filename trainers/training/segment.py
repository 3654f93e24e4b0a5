"""The unit of work and its outcome, as plain data: a driver's request and a trainer's answer.

A segment means "train these members from step `start` to step `stop`". It is a pure function of its
inputs, hence safe to repeat. This module imports no torch, so that a driver need not either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from trainers.method_api.space_file import Hyperparameters
from trainers.tasks import Task

CHECKPOINT_SECONDS = 300.0  # of training between two checkpoints
CALIBRATION_BATCHES = 16  # that gradients are measured on; the median over them counts
MAX_DAMAGES = 5  # files that may be found damaged in one training; more is the fault of the disk
EvaluationSplit = Literal["selection", "report"]  # the split that a score is from


def memory_bank_file(checkpoint: Path) -> Path:
    """Return where the memory bank of a checkpoint's method lies, if it has one."""
    return checkpoint.with_suffix(".memory")


class Ending(StrEnum):
    """How a segment ended for one member."""

    REACHED = "reached"  # trained to `step` (the segment's stop, or earlier when it was cut short)
    DIVERGED = "diverged"  # a loss or metric was not finite
    FAILED = "failed"  # the method's own code raised
    LOST = "lost"  # nothing to do with the method: worker, node, memory
    DAMAGED = "damaged"  # a file that it starts from is gone, damaged or another's


@dataclass(frozen=True, kw_only=True)
class Member:
    """One configuration to train: a trial, a confirmation, a teacher or a method's preparation."""

    key: str  # unique within the segment, for example "camvid-tiny/rdd#17"
    method: str
    params: Hyperparameters  # values of the search space's dimensions; what is absent is published
    checkpoint: Path | None = None  # the state at the segment's start; None exactly at step 0
    prepares: bool = False  # train the method's preparation instead of a student


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Train `members` from step `start` to step `stop`; evaluate there when `stop` is a rung."""

    task: Task
    seed: int  # initial weights, image batches, augmentation and dropout derive from it
    start: int
    stop: int
    evaluate: bool
    members: tuple[Member, ...]
    folder: Path  # checkpoints of this attempt are written here, one file a member
    teacher: Path | None = None  # weights of the trained teacher; None where no member needs it
    preparations: Mapping[str, Path] = field(default_factory=dict)  # trained ones, by name
    hashes: Mapping[Path, str] = field(default_factory=dict)  # weights that those files must hold
    data_root: Path | None = None
    device: str = "cpu"
    deterministic: bool = False  # only kernels that repeat bit by bit, on a GPU as well
    calibrates: bool = False  # measure the members' gradient-norm ratios at `start`; train nothing
    max_seconds: float | None = None  # stop at a step boundary after this much wall time
    log: Path | None = None  # JSON lines of this attempt go here; None: none are written
    evaluation_split: EvaluationSplit = "selection"  # "report": a confusion matrix for each image


@dataclass(frozen=True, kw_only=True)
class MemberOutcome:
    """What became of one member; `step` and `checkpoint` are where its next segment starts."""

    key: str
    ending: Ending
    step: int
    seconds: float  # this member's own measured time, plus an equal share of what was common
    checkpoint: Path | None = None
    weights_hash: str | None = None  # sha256 of the student's weights and buffers
    score: float | None = None  # mIoU in percent, higher is better; None unless evaluated
    class_iou: tuple[float | None, ...] = ()  # percent per class; None where the split has no pixel
    losses: tuple[tuple[int, float], ...] = ()  # (step, training loss), a few points a segment
    gradient_ratios: tuple[float, ...] = ()  # of a calibration: |terms' gradient| / |task's|
    feature: str | None = None  # of a calibration: the student's feature they were measured at
    reason: str | None = None  # unless REACHED or DIVERGED: what happened, then the traceback
    damaged: Path | None = None  # for DAMAGED: its checkpoint, or the file that it is trained with
    picture: bytes | None = field(default=None, repr=False)  # PNG of predictions, at the last step
    confusions: bytes | None = field(default=None, repr=False)  # packed, one matrix an image


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one segment; members in the segment's order."""

    members: tuple[MemberOutcome, ...]
    wall_seconds: float
    device_name: str
    interrupted: bool = False  # cut short by a pause, a signal or `max_seconds`
    notes: tuple[str, ...] = field(default=())  # for example "out of memory: split into 2 x 4"
    code_hash: str | None = None  # of what trained it, see `imported_code`; None: it was lost


def _ignore(step: int) -> None:
    """Report progress to no one."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """How a running segment reports its progress, and learns that it is to stop."""

    on_progress: Callable[[int], None] = _ignore  # called with the step reached, after each step
    on_heartbeat: Callable[[], object] = bool  # called after each batch evaluated
    should_stop: Callable[[], bool] = bool  # called after each step; by default never stops


class Runs(Protocol):
    """Whatever can run a segment: `trainers.training.cohort.Trainer`, or a worker elsewhere."""

    def run(self, segment: Segment, control: Control) -> Outcome:
        """Train the segment's members and return what became of them."""
        ...
