"""The memory banks of a cohort: one for all members whose methods ask for the same bank.

A bank depends on teacher, data, seed and step alone, so it is no member's own. Its file lies beside
each member's checkpoint; members of one cohort share it by a hard link, since it may hold
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
from trainers.method_api.method import MemoryBank
from trainers.models.outputs import Outputs
from trainers.runtime.numerics import derive_seed, seed_generators
from trainers.runtime.torch_files import write
from trainers.training.checkpoints import read_ours
from trainers.training.segment import memory_bank_file

Identity = dict[str, Any]  # all that a memory bank depends on


class MemoryBanks:
    """The memory banks of one cohort, by the key of their settings."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._device = seed, device
        self._banks: dict[str, MemoryBank] = {}
        self._written: dict[str, Path] = {}
        self._versions: list[tuple[Tensor, int]] = []

    def get_or_load(
        self, bank: MemoryBank, checkpoint: Path | None, identity: Identity
    ) -> MemoryBank:
        """Return the cohort's bank of that key: the one it has, or `bank` in its right state.

        UnusableFile where the file beside the checkpoint is gone, damaged or another's.
        """
        if bank.key in self._banks:
            return self._banks[bank.key]
        if checkpoint is not None:
            content = read_ours(memory_bank_file(checkpoint))
            if content.get("identity") != identity | {"key": bank.key}:
                raise UnusableFile(memory_bank_file(checkpoint), "belongs to another training")
            bank.load_state_dict(content["state"])
        self._banks[bank.key] = bank.to(self._device)
        return bank

    @torch.no_grad()
    def update(self, teacher: Outputs, labels: Tensor, step: int) -> None:
        """Let every bank take in the batch of `step` (counted from 0)."""
        for key, bank in self._banks.items():
            seed_generators(derive_seed(self._seed, "memory", key, step))
            bank.update(teacher, labels)
        buffers = [buffer for bank in self._banks.values() for buffer in bank.buffers()]
        self._versions = [(buffer, buffer._version) for buffer in buffers]

    def save(self, bank: MemoryBank, checkpoint: Path, identity: Identity) -> None:
        """Write the bank beside the checkpoint of one of its members."""
        file = memory_bank_file(checkpoint)
        first = self._written.get(bank.key)
        if first is None:
            content = {"identity": identity | {"key": bank.key}, "state": bank.state_dict()}
            write(file, content)
            self._written[bank.key] = file
            return
        file.unlink(missing_ok=True)
        try:
            os.link(first, file)
        except OSError:  # a file system without hard links
            shutil.copyfile(first, file)

    def are_changed(self) -> bool:
        """Whether anything was written to since the last update."""
        return any(buffer._version != version for buffer, version in self._versions)
