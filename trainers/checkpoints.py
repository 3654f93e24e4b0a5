"""A member's state on disk: written aside and renamed, and bound to what it belongs to."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainers.errors import CheckpointError
from trainers.identity import task_hash
from trainers.numerics import NUMERICS_VERSION
from trainers.segment import Member, Segment

FORMAT = 3


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose state a checkpoint is; a member resumes only from its own."""

    method: str
    params: dict[str, float | int | str]
    task: str  # hash of all in the task that can change training
    seed: int
    step: int
    data: str  # the data set's fingerprint
    teacher: str | None  # hash of its weights; None where the method needs none
    preparation: str | None  # the same of the method's preparation
    numerics: int
    deterministic: bool

    @classmethod
    def of(
        cls, segment: Segment, member: Member, *, step: int, data: str, **hashes: str | None
    ) -> Owner:
        """Return the owner of the member's state at `step`, given teacher and preparation."""
        return cls(
            method=f"preparation of {member.method}" if member.prepares else member.method,
            params=dict(member.params),
            task=task_hash(segment.task),
            seed=segment.seed,
            step=step,
            data=data,
            teacher=hashes.get("teacher"),
            preparation=hashes.get("preparation"),
            numerics=NUMERICS_VERSION,
            deterministic=segment.deterministic,
        )


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything that the steps to come depend on."""

    student: dict[str, Tensor]
    method: dict[str, Tensor]
    optimizer: dict[str, Any] | None  # None at the last step: nothing goes on from there
    companions: dict[str, dict[str, Any]]  # the optimisers of the method's parts; likewise empty


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Return the sha256 of names, types, shapes and bytes, wherever the tensors lie in memory."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def file_of(folder: Path, key: str, step: int) -> Path:
    """Return where the member's state at `step` lies: its key made safe, told apart by a digest."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", key)[:80]
    return folder / f"{safe}.{hashlib.sha256(key.encode()).hexdigest()[:8]}.step{step:07d}.pt"


def latest(folder: Path, key: str) -> tuple[int, Path | None]:
    """Return the last step stored in `folder` and its checkpoint; (0, None) without any."""
    pattern = file_of(folder, key, 0).name.replace("step0000000", "step*")
    files = sorted(folder.glob(pattern))
    if not files:
        return 0, None
    return int(files[-1].stem.rpartition("step")[2]), files[-1]


def save(file: Path, owner: Owner, state: State) -> str:
    """Write a checkpoint so that a reader sees all of it or nothing; return its weights' hash."""
    digest = weights_hash(state.student)
    write(file, {"format": FORMAT, "owner": asdict(owner), "weights_hash": digest, **vars(state)})
    return digest


def write(file: Path, content: dict[str, Any]) -> None:
    """Write `content` aside, rename it, and see to it that it survives a loss of power."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial")
    with partial.open("wb") as stream:
        torch.save(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)
    _sync_folder(file.parent)


def load(file: Path, owner: Owner) -> State:
    """Return the state in `file`; CheckpointError unless it is undamaged and the owner's."""
    content = read(file)
    if content.get("format") != FORMAT:
        raise CheckpointError(
            f"{file}: format {content.get('format')!r}, must be {FORMAT}; start again from step 0"
        )
    _check_owner(file, content["owner"], asdict(owner))
    if weights_hash(content["student"]) != content["weights_hash"]:
        raise CheckpointError(f"{file}: damaged: the weights do not have the hash stored with them")
    return State(**{name: content[name] for name in State.__dataclass_fields__})


def read(file: Path) -> dict[str, Any]:
    """Return what `torch.save` wrote to `file`, tensors on the CPU; CheckpointError otherwise."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"{file}: cannot be read as a checkpoint: {reason}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file}: holds a {type(content).__name__}, must hold a dict")
    return content


def _check_owner(file: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    faults = [
        f"{name} is {json.dumps(found.get(name))}, must be {json.dumps(value)}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    if faults:
        raise CheckpointError(f"{file}: belongs to something else: {'; '.join(faults)}")


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
