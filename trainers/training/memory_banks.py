"""The memories of a cohort: one for all members whose methods ask for the same, kept on disk once.

A memory depends on teacher, data, seed and step alone, so it is no member's own. Beside a member's
checkpoint lies its memory's file; members of one cohort share it by a hard link, since it may hold
gigabytes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainers.errors import UnusableFile
from trainers.method_api.method import Memory
from trainers.models.outputs import Outputs
from trainers.runtime.numerics import derive_seed, seed_generators
from trainers.runtime.torch_files import write
from trainers.training.checkpoints import read_ours
from trainers.training.segment import memory_file

Identity = dict[str, Any]  # all that a memory depends on


class Memories:
    """What the members of one cohort remember, by the key of the memory's settings."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._device = seed, device
        self._held: dict[str, Memory] = {}
        self._written: dict[str, Path] = {}
        self._versions: list[tuple[Tensor, int]] = []

    def hold(self, memory: Memory, checkpoint: Path | None, identity: Identity) -> Memory:
        """Return the cohort's memory of that key: the one held, or `memory` at its right state.

        UnusableFile where the one beside the checkpoint is gone, damaged or another's.
        """
        if memory.key in self._held:
            return self._held[memory.key]
        if checkpoint is not None:
            content = read_ours(memory_file(checkpoint))
            if content.get("identity") != identity | {"key": memory.key}:
                raise UnusableFile(memory_file(checkpoint), "belongs to another training")
            memory.load_state_dict(content["state"])
        self._held[memory.key] = memory.to(self._device)
        return memory

    @torch.no_grad()
    def update(self, teacher: Outputs, labels: Tensor, step: int) -> None:
        """Let every memory take in the batch of `step` (counted from 0)."""
        for key, memory in self._held.items():
            seed_generators(derive_seed(self._seed, "memory", key, step))
            memory.update(teacher, labels)
        buffers = [buffer for memory in self._held.values() for buffer in memory.buffers()]
        self._versions = [(buffer, buffer._version) for buffer in buffers]

    def save(self, memory: Memory, checkpoint: Path, identity: Identity) -> None:
        """Put the memory beside the checkpoint of one of its members."""
        file = memory_file(checkpoint)
        first = self._written.get(memory.key)
        if first is None:
            content = {"identity": identity | {"key": memory.key}, "state": memory.state_dict()}
            write(file, content)
            self._written[memory.key] = file
            return
        file.unlink(missing_ok=True)
        try:
            os.link(first, file)
        except OSError:  # a file system without hard links
            shutil.copyfile(first, file)

    def are_changed(self) -> bool:
        """Whether anything was written to since the last update."""
        return any(buffer._version != version for buffer, version in self._versions)
