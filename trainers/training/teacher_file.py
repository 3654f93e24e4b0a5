"""The trained net that students are distilled from, and reading it from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainers.errors import CheckpointError, TaskError
from trainers.models import SegmentationNet, build_net
from trainers.runtime.torch_files import write
from trainers.tasks import Task
from trainers.training.checkpoints import read, read_ours, weights_hash

ENVELOPES = ("student", "weights", "state_dict", "model_state_dict", "model", "net")  # ours first
WRAPPER = "module."  # what DistributedDataParallel puts before every name


@dataclass(frozen=True, kw_only=True)
class LoadedTeacher:
    """A trained teacher on its device."""

    net: SegmentationNet
    weights_hash: str


def load_teacher(
    task: Task, file: Path, num_classes: int, device: torch.device, wanted: str | None = None
) -> SegmentationNet:
    """Return the task's teacher with the weights in `file`, frozen and in evaluation mode.

    The file is a checkpoint of ours, or any state dict of such a net. CheckpointError names
    the entries that are missing, unknown or of another shape. Where the hash of the weights is
    given as `wanted`, the file is ours, and UnusableFile means that it is gone, damaged or another.
    """
    if task.teacher is None:
        raise TaskError(f"task {task.name} has no teacher; give none, or add [teacher] to it")
    bare = task.teacher.net.model_copy(update={"weights": "none"})  # all of them come from the file
    net = build_net(bare, num_classes)
    weights = _unwrap(read(file) if wanted is None else read_ours(file, wanted))
    _check(file, weights, net.state_dict())
    net.load_state_dict(weights)
    return net.requires_grad_(requires_grad=False).eval().to(device)


def copy_teacher(task: Task, file: Path, target: Path, num_classes: int) -> str:
    """Write the teacher in `file`, which may be from elsewhere, to a file of ours.

    Returns the hash of its weights; CheckpointError as `load_teacher`.
    """
    weights = load_teacher(task, file, num_classes, torch.device("cpu")).state_dict()
    digest = weights_hash(weights)
    write(target, {"weights": weights, "weights_hash": digest})
    return digest


def _unwrap(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state dict within a file's content, under the names of an unwrapped net."""
    for name in ENVELOPES:
        if isinstance(content.get(name), Mapping):
            content = content[name]
            break
    return {name.removeprefix(WRAPPER): value for name, value in content.items()}


def _check(file: Path, given: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> None:
    both = wanted.keys() & given.keys()
    faults = [
        _some("missing", [name for name in wanted if name not in given]),
        _some("unknown", [name for name in given if name not in wanted]),
        _some("of another shape", [n for n in sorted(both) if not _fits(given[n], wanted[n])]),
    ]
    if any(faults):
        raise CheckpointError(
            f"{file}: not the weights of the task's teacher: "
            f"{'; '.join(fault for fault in faults if fault)}"
        )


def _fits(given: Any, wanted: Tensor) -> bool:
    return getattr(given, "shape", None) == wanted.shape


def _some(what: str, names: list[str], most: int = 4) -> str:
    """Return `3 missing (a, b, c)`, with the first few names, or nothing where there are none."""
    more = ", ..." if len(names) > most else ""
    return f"{len(names)} {what} ({', '.join(names[:most])}{more})" if names else ""
