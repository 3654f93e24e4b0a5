"""Running out of memory: which errors mean it, and how to free what is no longer needed."""

from __future__ import annotations

import gc

import torch

# What libraries and the CPU's allocator raise as a plain RuntimeError.
MESSAGES = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator",
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the error means that memory did not suffice, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in MESSAGES)


def release_memory() -> None:
    """Give back what no object holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
