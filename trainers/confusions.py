"""Confusion matrices of single images as bytes, and back; for readers without torch."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray


def packed(confusions: NDArray[np.int32]) -> bytes:
    """Return matrices (images, K, K) as a compressed .npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, confusions=confusions)
    return file.getvalue()


def unpack(content: bytes) -> NDArray[np.int32]:
    """Return the matrices (images, K, K) that `packed` has written."""
    with np.load(io.BytesIO(content)) as arrays:
        matrices: NDArray[np.int32] = arrays["confusions"]
    return matrices
