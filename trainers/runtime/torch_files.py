"""Files that `torch.save` writes, with a digest of all their bytes in the archive's comment.

A plain `torch.load` reads them. We verify them first, so that damaged bytes never reach
the unpickler, and whatever torch raises on a file that is not ours becomes one line here.
"""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch

from trainers.errors import CheckpointError, UnusableFile
from trainers.runtime.out_of_memory import is_out_of_memory

MARK = b"sweeper sha256 "  # the comment begins with it, the digest in hexadecimal follows
DIGITS = 2 * hashlib.sha256().digest_size
NO_COMMENT = struct.pack("<H", 0)  # a zip archive's last bytes: how long its comment is
OUR_COMMENT = struct.pack("<H", len(MARK) + DIGITS)
CHUNK = 1 << 20  # bytes hashed at once
GONE = (errno.ENOENT, errno.EISDIR, errno.EIO)  # the file is not there, or its disk has lost it


class _Hashing:
    """A stream for `torch.save` that hashes what it passes on.

    It holds the last two bytes back: they tell that the archive has no comment.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._digest, self._held = stream, hashlib.sha256(), b""

    def write(self, data: bytes | memoryview) -> int:
        """Take the next bytes; the memory is the caller's and is not kept."""
        last = len(NO_COMMENT)
        if len(data) < last:
            whole: bytes | memoryview = self._held + bytes(data)
        else:
            self._pass_on(self._held)
            whole = data
        self._pass_on(whole[:-last])
        self._held = bytes(whole[-last:])
        return len(data)

    def flush(self) -> None:
        """Write out what was passed on."""
        self._stream.flush()

    def end(self) -> None:
        """Write the comment with the digest of every byte before the digest itself."""
        if self._held != NO_COMMENT:
            raise RuntimeError("torch.save did not end its archive without a comment")
        self._pass_on(OUR_COMMENT + MARK)
        self._stream.write(self._digest.hexdigest().encode())

    def _pass_on(self, data: bytes | memoryview) -> None:
        self._stream.write(data)
        self._digest.update(data)


def write(file: Path, content: dict[str, Any]) -> None:
    """Write `content` aside, rename it, and see to it that it survives a loss of power."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial")
    try:
        with partial.open("wb") as stream:
            hashing = _Hashing(stream)
            torch.save(content, hashing)  # type: ignore[arg-type] # it calls no other method
            hashing.end()
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(file.parent)


def check(file: Path) -> None:
    """Raise UnusableFile where a file of ours is gone or damaged; CheckpointError on other faults.

    All of the file is read, nothing of it is unpickled.
    """
    with _opened(file) as stream:
        _demand(file, _has_digest(file, stream))


def load(file: Path, *, is_ours: bool) -> object:
    """Return what a file holds, tensors on the CPU.

    UnusableFile where it is gone, does not match its digest or, being ours, has none.
    CheckpointError where it cannot be read for another reason.
    """
    with _opened(file) as stream:
        is_sound = _has_digest(file, stream)
        if is_ours:
            _demand(file, is_sound)
        stream.seek(0)
        with one_line(lambda why: f"{file}: cannot be read as a checkpoint: {why}", is_sound):
            # By its name where it is not ours: torch knows some formats by the ending.
            return torch.load(stream if is_sound else file, map_location="cpu", weights_only=True)


@contextmanager
def one_line(message: Callable[[str], str], is_sound: bool = False) -> Iterator[None]:
    """Turn whatever torch raises in the block, reading a file, into a CheckpointError.

    `message` makes the line from the reason. Of a sound file it is no fault where memory does not
    suffice: that is raised as it is.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error tells what torch finds wrong
            yield
    except Exception as error:  # noqa: BLE001 - on foreign bytes the unpickler raises anything
        if is_sound and is_out_of_memory(error):
            raise
        first = (str(error).splitlines() or [""])[0]
        raise CheckpointError(message(f"{type(error).__name__}: {first}".rstrip(": "))) from error


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        with file.open("rb") as stream:
            yield stream
    except OSError as error:
        why = f"cannot be read as a checkpoint: {error.strerror or type(error).__name__}"
        if error.errno in GONE:
            raise UnusableFile(file, why) from error
        raise CheckpointError(f"{file}: {why}") from error


def _demand(file: Path, has_digest: bool) -> None:
    if not has_digest:
        raise UnusableFile(file, "damaged: it does not end with its digest")


def _has_digest(file: Path, stream: BinaryIO) -> bool:
    """Return whether the file ends with a digest of ours; UnusableFile where it does not match."""
    rest = stream.seek(0, os.SEEK_END) - DIGITS
    stream.seek(max(rest - len(MARK), 0))
    tail = stream.read()
    if len(tail) != len(MARK) + DIGITS or not tail.startswith(MARK):
        return False
    digest, chunk = hashlib.sha256(), memoryview(bytearray(CHUNK))
    stream.seek(0)
    while rest > 0 and (count := stream.readinto(chunk[: min(rest, CHUNK)])):  # type: ignore[attr-defined]
        digest.update(chunk[:count])
        rest -= count
    if digest.hexdigest().encode() != tail[len(MARK) :]:
        raise UnusableFile(file, "damaged: it does not match its digest")
    return True


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
