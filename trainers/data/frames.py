"""Frames on disk to uint8 tensors, and to a fingerprint of their bytes; threads do both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from trainers.data.dataset import IGNORE, Split
from trainers.errors import DataError

# What Pillow raises on damaged files of various kinds; a damaged PNG is a SyntaxError to it.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """An image and its label map: two files below a root."""

    name: str
    image: Path  # relative to the root
    label: Path


@dataclass(frozen=True, kw_only=True)
class FrameReader:
    """Decodes frames below `root` to `size`; label values in `void` become 255."""

    root: Path
    size: tuple[int, int]  # height, width
    num_classes: int
    void: tuple[int, ...]

    def read(self, frames: Sequence[Frame]) -> Split:
        """Return the frames as a split, in their order; DataError names the file at fault.

        Images shrink by a box filter (each pixel counts once), grow bilinearly; labels take the
        nearest pixel.
        """
        height, width = self.size
        images = np.empty((len(frames), 3, height, width), dtype=np.uint8)
        labels = np.empty((len(frames), height, width), dtype=np.uint8)

        def decode(index: int) -> None:
            images[index], labels[index] = self.decode(frames[index])

        with ThreadPoolExecutor() as pool:
            list(pool.map(decode, range(len(frames))))
        names = tuple(frame.name for frame in frames)
        return Split(images=torch.from_numpy(images), labels=torch.from_numpy(labels), names=names)

    def decode(self, frame: Frame) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the frame's image (3, H, W) and labels (H, W)."""
        image = _open(self.root / frame.image).convert("RGB")
        label = _open(self.root / frame.label)
        if image.size != label.size:
            raise DataError(
                f"{self.root / frame.label}: {_size(label)}, but its image {frame.image} is "
                f"{_size(image)}; the two must be of one size"
            )
        labels = self._classes(label, self.root / frame.label)
        return self._shrink(image).transpose(2, 0, 1), labels

    def _shrink(self, image: Image.Image) -> NDArray[np.uint8]:
        height, width = self.size
        smaller = width <= image.width and height <= image.height
        resampling = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
        return np.asarray(image.resize((width, height), resampling))

    def _classes(self, label: Image.Image, file: Path) -> NDArray[np.uint8]:
        """Return the label map at `size`, checked before it is resized."""
        if label.mode not in ("L", "P"):
            raise DataError(
                f"{file}: labels must be 8-bit class numbers in one channel, got mode {label.mode}"
            )
        table = np.array([self._class_of(value) for value in range(256)])
        height, width = self.size
        wrong = [
            value for value, count in enumerate(label.histogram()) if count and table[value] < 0
        ]
        if wrong:
            raise DataError(
                f"{file}: label value {wrong[0]}, must be 0..{self.num_classes - 1}, or "
                f"{' or '.join(map(str, self.void))} for void"
            )
        nearest = np.asarray(label.resize((width, height), Image.Resampling.NEAREST))
        classes: NDArray[np.uint8] = table[nearest].astype(np.uint8)
        return classes

    def _class_of(self, value: int) -> int:
        if value in self.void:
            return IGNORE
        return value if value < self.num_classes else -1


def fingerprint_files(root: Path, splits: dict[str, Sequence[Frame]]) -> str:
    """Return the sha256 over each frame's split, relative names and bytes, wherever `root` lies."""
    entries = [(split, frame) for split, frames in splits.items() for frame in frames]

    def line(entry: tuple[str, Frame]) -> str:
        split, frame = entry
        image, label = (_digest(root / file) for file in (frame.image, frame.label))
        return f"{frame.image.as_posix()} {image} {frame.label.as_posix()} {label} {split}\n"

    with ThreadPoolExecutor() as pool:
        lines = sorted(pool.map(line, entries))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error


def _open(file: Path) -> Image.Image:
    try:
        with Image.open(file) as image:
            image.load()
            return image
    except DAMAGED as error:
        raise DataError(f"{file}: damaged, or no image: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _size(image: Any) -> str:
    return f"{image.width} x {image.height} pixels"
