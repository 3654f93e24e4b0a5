"""Confusion matrices of single images as bytes, and back; for readers without torch."""

from __future__ import annotations

import io
import struct
import zlib
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from trainers.errors import DataError

# What NumPy and zipfile raise on damaged bytes of various kinds; a header is parsed as Python.
DAMAGED = (
    *(OSError, ValueError, EOFError, LookupError, SyntaxError, MemoryError, NotImplementedError),
    *(AttributeError, TypeError, BadZipFile, RuntimeError, struct.error, zlib.error),
)


def packed(confusions: NDArray[np.int32]) -> bytes:
    """Return matrices (images, K, K) as a compressed .npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, confusions=confusions)
    return file.getvalue()


def unpack(content: bytes) -> NDArray[np.int32]:
    """Return the matrices (images, K, K) that `packed` has written; DataError for other bytes."""
    try:
        with np.load(io.BytesIO(content)) as arrays:
            matrices: NDArray[np.int32] = arrays["confusions"]
    except DAMAGED as error:
        raise DataError("its confusion matrices are damaged") from error
    if matrices.dtype.kind not in "iu" or matrices.ndim != 3:
        raise DataError("its confusion matrices are damaged")
    return matrices
