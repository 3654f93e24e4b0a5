"""Which errors mean that memory did not suffice."""

from __future__ import annotations

import pytest
import torch

from trainers.runtime.out_of_memory import is_out_of_memory


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ..."), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("DefaultCPUAllocator"), False),
    ],
)
def test_memory_that_does_not_suffice_is_known_in_all_its_forms(
    error: Exception, is_memory: bool
) -> None:
    assert is_out_of_memory(error) is is_memory
