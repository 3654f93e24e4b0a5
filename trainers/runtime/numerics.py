"""What decides the digits besides the code: seeds, threads, precision, the choice of kernels."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a driver reads the version and must start without torch
    import torch

NUMERICS_VERSION = 1  # raise it when the golden run's digits change


def derive_seed(*parts: object) -> int:
    """Return a seed in [0, 2**63) that depends on every part and on nothing else."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def seed_generators(seed: int) -> None:
    """Seed torch's generators of the CPU and all GPUs, faster than `torch.manual_seed` does."""
    import torch  # loads torch

    torch.default_generator.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)  # costs nothing where there is none


def configure(device: torch.device, deterministic: bool, threads: int) -> None:
    """Set the process up for one segment; every setting is written, so that none is left over."""
    import torch  # loads torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_float32_matmul_precision("highest")  # no TF32: what is to be fast is bfloat16 anyway
    if device.type != "cuda":
        return
    torch.cuda.set_device(device.index or 0)  # events and streams are of the current device
    # cuBLAS repeats only with workspaces of fixed size; it reads this once, at its first product.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.allow_tf32 = False  # convolutions have a switch of their own
    torch.backends.cudnn.benchmark = not deterministic
