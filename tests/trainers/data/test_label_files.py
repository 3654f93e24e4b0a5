"""Label files of every kind: the numbers they store, upright, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainers.data.image_files import (
    BIT_INDEX,
    BIT_ROWS,
    DEEP,
    DEEP_BIG,
    GREY,
    INDEX,
    NIBBLES,
    OPAQUE,
    PAIRS,
    RGB,
    UPRIGHT,
    Array,
    Write,
    exif,
    palette_image,
    png,
    png_palette,
    saved,
    tiff,
)
from trainers.data.decoding import read_label
from trainers.errors import DataError


@pytest.mark.parametrize(
    ("suffix", "options"), [("png", {}), ("tiff", {}), ("tiff", {"compression": "tiff_lzw"})]
)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_label_is_set_upright(
    orientation: int, depth: type, suffix: str, options: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / f"label.{suffix}"
    stored = np.arange(12).reshape(3, 4).astype(depth)
    Image.fromarray(stored).save(file, exif=exif(orientation), **options)
    assert read_label(file).values.tolist() == UPRIGHT[orientation](stored).tolist()


LABELS: dict[str, tuple[str, Write, Array]] = {
    "1-bit": ("png", saved(BIT_INDEX == 1), BIT_INDEX),
    "1-bit TIFF": ("tiff", saved(BIT_INDEX == 1), BIT_INDEX),
    "1-bit palette": ("png", lambda f: png_palette(f, 1, BIT_ROWS), BIT_INDEX),
    "2-bit grey": ("png", lambda f: png(f, 2, 0, PAIRS), INDEX),
    "4-bit grey": ("png", lambda f: png(f, 4, 0, NIBBLES), INDEX),
    "4-bit grey TIFF": ("tiff", lambda f: tiff(f, NIBBLES, bits=4), INDEX),
    "8-bit grey": ("png", saved(GREY), GREY),
    "8-bit grey TIFF": ("tiff", saved(GREY), GREY),
    "palette": ("png", palette_image(), INDEX),
    "palette with a clear index": ("png", palette_image(0), INDEX),
    "palette TIFF": ("tiff", palette_image(), INDEX),
    "16-bit": ("png", saved(DEEP.astype(np.uint16)), DEEP),
    "16-bit TIFF": ("tiff", saved(DEEP.astype(np.uint16)), DEEP),
    "16-bit LZW TIFF": ("tiff", saved(DEEP.astype(np.uint16), compression="tiff_lzw"), DEEP),
    "16-bit big-endian TIFF": (
        "tiff",
        lambda f: Image.frombytes("I;16B", (4, 3), DEEP_BIG).save(f),
        DEEP,
    ),
}


@pytest.mark.parametrize("kind", LABELS)
def test_a_label_keeps_its_numbers(kind: str, tmp_path: Path) -> None:
    suffix, write, expected = LABELS[kind]
    file = tmp_path / f"label.{suffix}"
    write(file)
    assert read_label(file).values.tolist() == expected.tolist()


NO_LABELS: dict[str, tuple[str, Write, str]] = {
    "RGB": ("png", saved(RGB), r"colours \(mode RGB\), not class numbers"),
    "RGBA": ("png", saved(np.dstack([RGB, OPAQUE])), r"colours \(mode RGBA\)"),
    "grey and alpha": ("png", saved(np.dstack([GREY, OPAQUE])), r"colours \(mode LA\)"),
    "float": ("tiff", saved(GREY.astype(np.float32)), r"signed or floating-point"),
    "signed": ("tiff", lambda f: tiff(f, GREY.tobytes(), bits=8, sample_format=2), r"signed"),
    "0 is white": (
        "tiff",
        lambda f: tiff(f, GREY.tobytes(), bits=8, photometric=0),
        r".*not return as stored \(mode L, raw mode L;I\)",
    ),
    "JPEG": ("jpg", saved(GREY), r"a file of format JPEG, which may change numbers"),
    "JPEG in a TIFF": ("tiff", saved(GREY, compression="jpeg"), r"compressed as jpeg"),
    "rescaled PGM": (
        "pgm",
        lambda f: f.write_bytes(b"P5 4 3 10\n" + bytes(12)),
        r"a file of format PPM",
    ),
    "two pages": (
        "tiff",
        saved(GREY, save_all=True, append_images=[Image.fromarray(GREY)]),
        r"2 pictures in one file",
    ),
}


@pytest.mark.parametrize("kind", NO_LABELS)
def test_what_holds_no_class_numbers_is_no_label(kind: str, tmp_path: Path) -> None:
    suffix, write, found = NO_LABELS[kind]
    file = tmp_path / f"label.{suffix}"
    write(file)
    with pytest.raises(DataError, match=rf"label\.{suffix}: {found}") as raised:
        read_label(file)
    assert "\n" not in str(raised.value)
