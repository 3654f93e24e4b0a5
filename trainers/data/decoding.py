"""Image files to 8-bit colours, label files to the numbers they store: decoded exactly, or refused.

Pillow converts most things to most others without a word: it clips 16 bits to 8, takes negative
numbers for positive ones, spreads a label's 4 bits over 0..255. So what it opened is compared with
what is known to come out right, and all else is a DataError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.ExifTags import Base as ExifTag

from trainers.data.pillow_modes import raw_mode, storage_fault
from trainers.errors import DataError

# What Pillow raises on damaged files of various kinds; a damaged PNG is a SyntaxError to it.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
DAMAGED_EXIF = (SyntaxError, ValueError, TypeError, KeyError, struct.error)

TURNS = {  # what turns a picture of each EXIF orientation upright; 1 needs nothing
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
LYING = (5, 6, 7, 8)  # the orientations that exchange width and height

IMAGE_FORMATS = ("PNG", "JPEG", "MPO", "TIFF", "BMP", "WEBP", "GIF", "PPM")
EIGHT_BITS = ("1", "L", "P", "RGB", "LA", "PA", "RGBA")
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I")  # I: of a PGM; a TIFF's 32 bits are refused
FULL_SCALE = 65535
IMAGE_RULE = (
    "an image must be opaque, one to a file, and grey, RGB or of a palette with up to 8 bits a "
    "channel, or grey with 16; save it as RGB with 8 bits a channel"
)
MEANINGS = {
    "CMYK": "printing inks (mode CMYK), whose colours hang on a printer's profile",
    "F": "floating-point numbers (mode F), whose full scale is not stated",
}

LABEL_FORMATS = ("PNG", "TIFF")
LOSSY = ("jpeg", "tiff_jpeg", "webp", "tiff_sgilog", "tiff_sgilog24")  # in a TIFF
STEPS = {  # in which Pillow spreads a label's grey levels, by mode and raw mode
    ("1", "1"): 1,
    ("L", "L"): 1,
    ("L", "L;2"): 85,
    ("L", "L;4"): 17,
    **{("P", stored): 1 for stored in ("P", "P;1", "P;2", "P;4")},
    **{("I;16", stored): 1 for stored in ("I;16", "I;16B", "I;16N")},
    **{("I;16B", stored): 1 for stored in ("I;16B", "I;16N")},
    ("I", "I;16B"): 1,
}
LABEL_RULE = (
    "a label must be a PNG or TIFF of class numbers in one channel of up to 16 bits, or of palette "
    "indices that are class numbers"
)


@dataclass(frozen=True, kw_only=True)
class Turned:
    """What every decoded file tells of its stored orientation."""

    orientation: int  # EXIF's, 1 to 8; undone in what was decoded
    size: tuple[int, int]  # width, height: upright

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height as the pixels lie in the file."""
        width, height = self.size
        return (height, width) if self.orientation in LYING else (width, height)


@dataclass(frozen=True, kw_only=True)
class Picture(Turned):
    """An image file, decoded and upright."""

    image: Image.Image  # mode RGB
    brightest: int | None  # the highest value of an image of 16 bits, of 65535


@dataclass(frozen=True, kw_only=True)
class LabelMap(Turned):
    """A label file, upright, with the numbers that it stores."""

    values: NDArray[Any]  # (H, W) of uint8 or uint16
    palette: bytes  # red, green, blue of each index; empty where it has no palette


def read_image(file: Path) -> Picture:
    """Return an image as RGB of 8 bits, turned by its EXIF orientation.

    16-bit grey is scaled by 255 / 65535 and rounded. An alpha channel is dropped where all of it is
    opaque, and refused elsewhere: the colour behind a transparent pixel is shown by no viewer, and
    which background it should get is not in the file. DataError, one line, for what is not decoded
    exactly.
    """
    with _opened(file) as opened:
        stored = raw_mode(opened)
        found = _image_fault(opened, stored)
        if found is not None:
            raise DataError(f"{file}: {found}; {IMAGE_RULE}")
        image, orientation = _load_upright(opened, file)
        if _is_transparent(image, stored):
            raise DataError(f"{file}: some of its pixels are transparent; {IMAGE_RULE}")
        image.info.pop("transparency", None)  # conversion would look for its colour
        brightest = None
        if image.mode in SIXTEEN_BITS:
            image, brightest = _in_eight_bits(image)
        rgb = image.convert("RGB")
    return Picture(image=rgb, orientation=orientation, size=rgb.size, brightest=brightest)


def read_label(file: Path) -> LabelMap:
    """Return the numbers that a label file stores, turned by its EXIF orientation.

    Whatever its depth, value v of the file is v. DataError, one line, for a file that does not
    store whole numbers in one channel, or not losslessly.
    """
    with _opened(file) as opened:
        kind = (opened.mode, raw_mode(opened))
        found = _label_fault(opened, kind)
        if found is not None:
            raise DataError(f"{file}: {found}; {LABEL_RULE}")
        image, orientation = _load_upright(opened, file)
        palette = bytes(image.getpalette() or ()) if image.mode == "P" else b""
        values = np.asarray(image) // STEPS[kind]
        values = values.astype(np.uint16 if image.mode in SIXTEEN_BITS else np.uint8)
    return LabelMap(values=values, palette=palette, orientation=orientation, size=image.size)


@contextmanager
def _opened(file: Path) -> Iterator[ImageFile.ImageFile]:
    """Yield the file as Pillow opens it; what it raises then or later is a DataError.

    It gets a stream: a file that it knows by name it maps into memory, and then it takes a TIFF's
    rows of an EXIF orientation of 5 to 8 for as long as its columns.
    """
    try:
        with file.open("rb") as stream, Image.open(stream) as image:
            yield image
    except UnidentifiedImageError as error:  # it would name the stream
        raise DataError(f"{file}: damaged, or no image: Pillow cannot identify it") from error
    except DAMAGED as error:
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{file}: damaged, or no image: {first_line}") from error


def _image_fault(image: ImageFile.ImageFile, stored: str) -> str | None:
    """Return what keeps an image, opened and not yet loaded, from being decoded exactly."""
    if image.format not in IMAGE_FORMATS:
        return f"a file of format {image.format}, not of {', '.join(IMAGE_FORMATS)}"
    found = storage_fault(image)
    if found is not None:
        return found
    if ";16" in stored and image.mode not in SIXTEEN_BITS:
        return "16 bits in each of several channels, of which Pillow keeps 8 without rounding"
    if image.mode in (*EIGHT_BITS, *SIXTEEN_BITS):
        return None
    return MEANINGS.get(image.mode, f"colours of mode {image.mode}")


def _label_fault(image: ImageFile.ImageFile, kind: tuple[str, str]) -> str | None:
    """Return what keeps a label, opened and not yet loaded, from being taken as it is."""
    if image.format not in LABEL_FORMATS:
        return f"a file of format {image.format}, which may change numbers"
    found = storage_fault(image)
    if found is not None:
        return found
    if image.info.get("compression") in LOSSY:
        return f"compressed as {image.info['compression']}, which changes numbers"
    if kind in STEPS:
        return None
    mode, stored = kind
    if len(image.getbands()) > 1:
        return f"colours (mode {mode}), not class numbers"
    return f"numbers that Pillow does not return as stored (mode {mode}, raw mode {stored})"


def _load_upright(image: ImageFile.ImageFile, file: Path) -> tuple[Image.Image, int]:
    """Return the loaded picture, turned upright, and the EXIF orientation it had."""
    if image.format == "TIFF":  # Pillow turns it, and forgets the orientation, as it loads
        orientation = _orientation(image, file)
        image.load()
        return image, orientation
    image.load()
    orientation = _orientation(image, file)
    turn = TURNS.get(orientation)
    return (image if turn is None else image.transpose(turn)), orientation


def _orientation(image: Image.Image, file: Path) -> int:
    try:
        stored = image.getexif().get(ExifTag.Orientation)
    except DAMAGED_EXIF as error:
        raise DataError(
            f"{file}: its EXIF data is damaged, so that it is not known which way is up; "
            "write the file anew without it"
        ) from error
    return stored if stored in TURNS else 1


def _is_transparent(image: Image.Image, stored: str) -> bool:
    """Return whether any pixel of a loaded image is not opaque."""
    if not image.has_transparency_data:
        return False
    if image.mode in ("P", "PA", "LA", "RGBA"):
        return bool(np.asarray(image.convert("RGBA").getchannel("A")).min() < 255)
    clear = np.array(image.info["transparency"])  # the value, or the colour, that is transparent
    pixels = np.asarray(image.convert("L") if image.mode == "1" else image)
    if image.mode == "RGB":
        return bool((pixels == clear).all(axis=-1).any())
    return bool((pixels == clear * STEPS.get((image.mode, stored), 1)).any())


def _in_eight_bits(image: Image.Image) -> tuple[Image.Image, int]:
    """Return 16-bit grey as 8-bit grey, and its highest value."""
    values = np.asarray(image).astype(np.uint32)
    # 255 / 65535 is 1 / 257: an odd number, so that nothing lies half way.
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)), int(values.max())
