"""A member's state on disk: verified as a whole, and bound to what it belongs to."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainers.errors import CheckpointError, UnusableFile
from trainers.runtime import torch_files
from trainers.runtime.numerics import NUMERICS_VERSION
from trainers.tasks.identity import task_hash
from trainers.training.segment import Member, Segment

FORMAT = 4  # the first with a digest of the whole file
AUXILIARY_KEY = "companions"  # under which a file of this format keeps `State.auxiliary_modules`

logger = logging.getLogger(__name__)


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
    auxiliary_modules: dict[str, dict[str, Any]]  # states of their optimisers; likewise empty


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Return the sha256 of names, types, shapes and bytes, wherever the tensors lie in memory."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def file_of(folder: Path, key: str, step: int) -> Path:
    """Return where the member's state at `step` lies: its key as a file name, plus a digest."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", key)[:80]
    return folder / f"{safe}.{hashlib.sha256(key.encode()).hexdigest()[:8]}.step{step:07d}.pt"


def stored(folder: Path, key: str) -> list[Path]:
    """Return the member's checkpoints in `folder`, the earliest step first."""
    return sorted(folder.glob(file_of(folder, key, 0).name.replace("step0000000", "step*")))


def latest(folder: Path, key: str) -> tuple[int, Path | None]:
    """Return the last step stored in `folder` and its checkpoint; (0, None) without any.

    One that is damaged counts as missing, with a warning.
    """
    for file in reversed(stored(folder, key)):
        try:
            torch_files.check(file)
        except UnusableFile as error:
            if file.is_file():  # else another process has gone on from it
                _warn(str(error), file.stat().st_mtime_ns)
        else:
            return int(file.stem.rpartition("step")[2]), file
    return 0, None


@cache
def _warn(why: str, written: int) -> None:  # noqa: ARG001 - one that is written again is news
    """Warn once a process that a file is not used."""
    logger.warning("%s; training goes on from before it", why)


def save(file: Path, owner: Owner, state: State) -> str:
    """Write a checkpoint so that a reader sees all of it or nothing; return its weights' hash."""
    digest = weights_hash(state.student)
    content = {"format": FORMAT, "owner": asdict(owner), "weights_hash": digest, **vars(state)}
    content[AUXILIARY_KEY] = content.pop("auxiliary_modules")
    torch_files.write(file, content)
    return digest


def load(file: Path, owner: Owner) -> State:
    """Return the state in `file`; UnusableFile unless it is undamaged and the owner's."""
    content = read_ours(file)
    if content.get("format") != FORMAT:
        raise UnusableFile(file, f"format {content.get('format')!r}, must be {FORMAT}")
    _check_owner(file, content["owner"], asdict(owner))
    return State(
        student=content["student"],
        method=content["method"],
        optimizer=content["optimizer"],
        auxiliary_modules=content[AUXILIARY_KEY],
    )


def read(file: Path) -> dict[str, Any]:
    """Return what `torch.save` wrote to `file`, tensors on the CPU; CheckpointError otherwise.

    Any file will do; one of ours has to match its digest.
    """
    content = torch_files.load(file, is_ours=False)
    if not isinstance(content, dict):
        raise CheckpointError(f"{file}: holds a {type(content).__name__}, must hold a dict")
    return content


def read_ours(file: Path, weights: str | None = None) -> dict[str, Any]:
    """Return what we wrote to `file`, every byte of it verified, tensors on the CPU.

    UnusableFile where it is gone, damaged, or holds weights of another hash than `weights`.
    """
    content = torch_files.load(file, is_ours=True)
    found = content.get("weights_hash") if isinstance(content, dict) else None
    if not isinstance(content, dict) or (weights is not None and found != weights):
        held = f"weights of hash {str(found)[:12]}" if found else f"a {type(content).__name__}"
        wanted = "a dict" if weights is None else f"those of hash {weights[:12]}"
        raise UnusableFile(file, f"belongs to something else: holds {held}, must hold {wanted}")
    return content


def _check_owner(file: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    faults = [
        f"{name} is {json.dumps(found.get(name))}, must be {json.dumps(value)}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    if faults:
        raise UnusableFile(file, f"belongs to something else: {'; '.join(faults)}")
