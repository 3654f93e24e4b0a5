"""Small image files of every kind, some of which Pillow reads and cannot write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

Array = NDArray[Any]
Write = Callable[[Path], object]

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)
OPAQUE = np.full((3, 4, 1), 255, dtype=np.uint8)
DEEP = np.array([[0, 128, 129, 255], [256, 257, 385, 386], [4095, 32768, 65407, 65535]])
INDEX = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4
COLOURS = np.array([[10, 20, 30], [200, 100, 0], [0, 0, 255], [77, 77, 77]], dtype=np.uint8)


BITS = GREY > 100
NIBBLES = bytes((a << 4) | b for a, b in INDEX.reshape(-1, 2).tolist())
PAIRS = bytes((a << 6) | (b << 4) | (c << 2) | d for a, b, c, d in INDEX.tolist())
DEEP_BIG, DEEP_LITTLE = DEEP.astype(">u2").tobytes(), DEEP.astype("<u2").tobytes()

BIT_INDEX = INDEX % 2
BIT_ROWS = np.packbits(BIT_INDEX, axis=1).tobytes()

UPRIGHT = {  # by the EXIF standard: where row 0 and column 0 of what is stored are seen
    1: lambda pixels: pixels,  # top, left
    2: lambda pixels: pixels[:, ::-1],  # top, right
    3: lambda pixels: pixels[::-1, ::-1],  # bottom, right
    4: lambda pixels: pixels[::-1],  # bottom, left
    5: lambda pixels: pixels.swapaxes(0, 1),  # left, top
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],  # right, top
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],  # right, bottom
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],  # left, bottom
}


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def png(file: Path, depth: int, colour_type: int, rows: bytes, transparent: bytes = b"") -> Path:
    """Write a PNG of 4 x 3 pixels byte by byte: depths that Pillow reads and cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    step = len(rows) // 3
    lines = b"".join(b"\0" + rows[step * row : step * (row + 1)] for row in range(3))
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 3, depth, colour_type, 0, 0, 0))]
    parts += [chunk(b"tRNS", transparent)] if transparent else []
    parts += [chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return file


def tiff(file: Path, pixels: bytes, **tags: int | tuple[int, ...]) -> Path:
    """Write an uncompressed TIFF of 4 x 3 pixels with tags by their names in the specification."""
    numbers = {
        **{"width": 256, "length": 257, "bits": 258, "compression": 259, "photometric": 262},
        **{"offset": 273, "channels": 277, "rows": 278, "counts": 279, "planar": 284},
        **{"sample_format": 339},
    }
    given: dict[str, Any] = {"width": 4, "length": 3, "compression": 1, "photometric": 1}
    given |= {"channels": 1, "rows": 3, "counts": len(pixels), "offset": 0} | tags
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in given.items():
        directory[numbers[name]] = value
    body = directory.tobytes(8)
    file.write_bytes(b"II*\0" + struct.pack("<I", 8) + body + pixels)
    return file


def palette_image(transparency: bytes | int | None = None) -> Write:
    def write(file: Path) -> None:
        image = Image.fromarray(INDEX)
        image.putpalette(COLOURS.tobytes())
        image.save(file, **({} if transparency is None else {"transparency": transparency}))

    return write


def saved(pixels: Array, **options: Any) -> Write:
    return lambda file: Image.fromarray(pixels).save(file, **options)


def in_mode(mode: str, **options: Any) -> Write:
    return lambda file: Image.fromarray(RGB).convert(mode).save(file, **options)


def png_palette(file: Path, bits: int, rows: bytes) -> None:
    png(file, bits, 3, rows)
    data = file.read_bytes()
    colours = COLOURS.tobytes()
    body = b"PLTE" + colours
    chunk = struct.pack(">I", len(colours)) + body + struct.pack(">I", zlib.crc32(body))
    place = data.index(b"IDAT") - 4
    file.write_bytes(data[:place] + chunk + data[place:])
