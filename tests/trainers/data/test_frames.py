"""Frames through the reader: an image and its label must fit, and the label's values be classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainers.data.image_files import RGB, UPRIGHT, Array, exif
from trainers.data import IGNORE, Split
from trainers.data.frames import Frame, FrameReader
from trainers.errors import DataError

LABELS = np.array([[0, 1, 2, 3], [3, 3, 3, 9], [1, 1, 0, 2]], dtype=np.uint8)
CLASSES = np.where(LABELS == 9, IGNORE, LABELS)


def write(root: Path, image: Array, label: Array, turned: tuple[int, int] = (1, 1)) -> Frame:
    """Write one frame below `root`; `turned` are the orientations that its two files state."""
    number = len(list(root.glob("image*")))
    files = (root / f"image{number}.png", root / f"label{number}.png")
    for file, pixels, orientation in zip(files, (image, label), turned, strict=True):
        tags = {} if orientation == 1 else {"exif": exif(orientation)}
        Image.fromarray(pixels).save(file, **tags)
    return Frame(name=str(number), image=Path(files[0].name), label=Path(files[1].name))


def read(root: Path, *frames: Frame, size: tuple[int, int] = (3, 4)) -> Split:
    return FrameReader(root=root, size=size, num_classes=4, void=(9, 65535)).read(frames)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_image_and_label_are_turned_alike(orientation: int, tmp_path: Path) -> None:
    turn = UPRIGHT[orientation]
    frame = write(tmp_path, RGB, LABELS, (orientation, orientation))
    split = read(tmp_path, frame, size=turn(LABELS).shape)
    assert split.images[0].permute(1, 2, 0).tolist() == turn(RGB).tolist()
    assert split.labels[0].tolist() == turn(CLASSES).tolist()


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_label_that_fits_the_turned_image_alone_is_taken(
    orientation: int, tmp_path: Path
) -> None:
    upright = UPRIGHT[orientation](LABELS)
    split = read(tmp_path, write(tmp_path, RGB, upright, (orientation, 1)), size=upright.shape)
    assert split.labels[0].tolist() == UPRIGHT[orientation](CLASSES).tolist()


@pytest.mark.parametrize("turned", [(2, 1), (3, 1), (6, 1), (1, 4), (1, 8), (6, 8)])
def test_a_label_that_may_lie_otherwise_is_refused(turned: tuple[int, int], tmp_path: Path) -> None:
    frame = write(tmp_path, RGB, LABELS, turned)
    with pytest.raises(DataError, match=rf"label0.png: EXIF orientation {turned[1]}, but"):
        read(tmp_path, frame)


def test_sizes_are_compared_upright(tmp_path: Path) -> None:
    frame = write(tmp_path, RGB, LABELS[:2], (6, 6))
    message = r"label0.png: 2 x 4 pixels upright \(EXIF orientation 6\), but .* is 3 x 4 pixels up"
    with pytest.raises(DataError, match=message):
        read(tmp_path, frame)


def test_labels_of_16_bits_are_classes_and_void(tmp_path: Path) -> None:
    deep = LABELS.astype(np.uint16)
    deep[LABELS == 9] = 65535
    assert read(tmp_path, write(tmp_path, RGB, deep)).labels[0].tolist() == CLASSES.tolist()


@pytest.mark.parametrize("value", [4, 8, 255, 256, 259, 65534])
def test_a_value_that_is_no_class_is_refused(value: int, tmp_path: Path) -> None:
    deep = LABELS.astype(np.uint16)
    deep[0, 0] = value
    frame = write(tmp_path, RGB, deep)
    with pytest.raises(DataError, match=f"label0.png: label value {value}, must be 0..3") as raised:
        read(tmp_path, frame)
    assert ("numbered from 1, subtract 1" in str(raised.value)) is (value == 4)


def test_16_bits_that_hold_14_are_refused(tmp_path: Path) -> None:
    twelve = [np.full((3, 4), value, dtype=np.uint16) for value in (4000, 2**14 - 1, 7)]
    frames = [write(tmp_path, image, LABELS) for image in twelve]
    message = r"image1.png: value 16383, the highest of 3 images of 16 bits; of their full scale"
    with pytest.raises(DataError, match=message):
        read(tmp_path, *frames)


def test_a_dark_image_beside_a_bright_one_is_read(tmp_path: Path) -> None:
    both = [np.full((3, 4), value, dtype=np.uint16) for value in (257, 2**14)]
    split = read(tmp_path, *(write(tmp_path, image, LABELS) for image in both))
    assert split.images[:, 0, 0, 0].tolist() == [1, 64]


def test_a_dark_image_of_8_bits_is_read(tmp_path: Path) -> None:
    split = read(tmp_path, write(tmp_path, np.full((3, 4), 2, dtype=np.uint8), LABELS))
    assert split.images.unique().tolist() == [2]
