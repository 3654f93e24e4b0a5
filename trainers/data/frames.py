"""Frames on disk to uint8 tensors, and to a fingerprint of their bytes; threads do both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from trainers.data.dataset import IGNORE, Split
from trainers.data.decoding import FULL_SCALE, LabelMap, Picture, Turned, read_image, read_label
from trainers.data.label_warnings import LabelFacts, count_numbers, observe
from trainers.errors import DataError

Bytes = NDArray[np.uint8]

DARK = 2**14  # of 65535: a camera of 14 bits or fewer, stored in 16, has no value above it


@dataclass(frozen=True, kw_only=True)
class Frame:
    """An image and its label map: two files below a root."""

    name: str
    image: Path  # relative to the root
    label: Path


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A frame at the size trained on."""

    image: Bytes  # (3, H, W)
    labels: Bytes  # (H, W), 255 = ignore
    facts: LabelFacts
    brightest: int | None  # the highest value of an image of 16 bits


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
        nearest pixel. 16-bit images none of which gets beyond 14 bits are refused: scaled by the
        full 16 they would be nearly black, and their full scale is not stated.
        """
        height, width = self.size
        images = np.empty((len(frames), 3, height, width), dtype=np.uint8)
        labels = np.empty((len(frames), height, width), dtype=np.uint8)

        def decode(index: int) -> tuple[LabelFacts, int | None]:
            decoded = self.decode(frames[index])
            images[index], labels[index] = decoded.image, decoded.labels
            return decoded.facts, decoded.brightest

        with ThreadPoolExecutor() as pool:
            seen = list(pool.map(decode, range(len(frames))))
        self._refuse_dark(frames, [brightest for _, brightest in seen])
        return Split(
            images=torch.from_numpy(images),
            labels=torch.from_numpy(labels),
            names=tuple(frame.name for frame in frames),
            facts=tuple(facts for facts, _ in seen),
        )

    def decode(self, frame: Frame) -> Decoded:
        """Return a frame; DataError names the file at fault."""
        picture = read_image(self.root / frame.image)
        label = read_label(self.root / frame.label)
        self._refuse_unlike(frame, picture, label)
        pixels = count_numbers(label.values)
        classes = self._classes(label, pixels, self.root / frame.label)
        height, width = self.size
        nearest = Image.fromarray(classes).resize((width, height), Image.Resampling.NEAREST)
        labels = np.asarray(nearest)
        return Decoded(
            image=self._shrink(picture.image).transpose(2, 0, 1),
            labels=labels,
            facts=observe(frame.label, pixels, classes, labels, label.palette),
            brightest=picture.brightest,
        )

    def _refuse_unlike(self, frame: Frame, picture: Picture, label: LabelMap) -> None:
        """Refuse a label that does not lie as its image does, or may not.

        Tools that write labels tend to drop the orientation, turned or not. Where width and height
        tell that the label fits the picture only as it is shown, it is taken for turned.
        """
        file = self.root / frame.label
        alike = picture.orientation == label.orientation
        if not alike and picture.stored_size == label.stored_size:
            raise DataError(
                f"{file}: EXIF orientation {label.orientation}, but its image {frame.image} has "
                f"{picture.orientation}; which way the label lies must be certain: save both "
                "upright, without an orientation"
            )
        if picture.size != label.size:
            raise DataError(
                f"{file}: {_size(label)}, but its image {frame.image} is {_size(picture)}; the two "
                "must be of one size"
            )

    def _refuse_dark(self, frames: Sequence[Frame], brightest: Sequence[int | None]) -> None:
        """Refuse a split whose 16-bit images use a quarter of their scale or less."""
        known = [(value, place) for place, value in enumerate(brightest) if value is not None]
        highest, place = max(known, default=(FULL_SCALE, 0))
        if highest < DARK:
            raise DataError(
                f"{self.root / frames[place].image}: value {highest}, the highest of {len(known)} "
                f"images of 16 bits; of their full scale, {FULL_SCALE}, one must reach {DARK}: if "
                "the camera has fewer bits, save them scaled to 8 or to the full 16"
            )

    def _shrink(self, image: Image.Image) -> Bytes:
        height, width = self.size
        smaller = width <= image.width and height <= image.height
        resampling = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
        return np.asarray(image.resize((width, height), resampling))

    def _classes(self, label: LabelMap, used: Iterable[int], file: Path) -> Bytes:
        """Return the classes of a label before it is resized, 255 where it is void."""
        wrong = [value for value in used if value >= self.num_classes and value not in self.void]
        if wrong:
            raise DataError(
                f"{file}: label value {wrong[0]}, must be 0..{self.num_classes - 1}, or "
                f"{' or '.join(map(str, self.void))} for void{self._hint(wrong[0])}"
            )
        classes: Bytes = label.values.astype(np.uint8)
        for value in self.void:
            classes[label.values == value] = IGNORE
        return classes

    def _hint(self, value: int) -> str:
        if value != self.num_classes:
            return ""
        return "; if its classes are numbered from 1, subtract 1 and give void its own value"


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


def _size(turned: Turned) -> str:
    width, height = turned.size
    turn = f" upright (EXIF orientation {turned.orientation})" if turned.orientation > 1 else ""
    return f"{width} x {height} pixels{turn}"
