"""How an image file that Pillow has opened stores its numbers, and where Pillow misreads that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PIL import ImageFile, TiffImagePlugin

WHITE_IS_ZERO = 0
UNSIGNED = 1
IN_PLANES = 2
WHOLE_DEPTHS = (1, 2, 4, 8)  # bits that Pillow spreads over 0..255


def raw_mode(image: ImageFile.ImageFile) -> str:
    """Return Pillow's name for the numbers as stored, of an image opened and not yet loaded."""
    if not image.tile:
        return ""
    arguments: Any = image.tile[0][3]
    first = arguments if isinstance(arguments, str) else next(iter(arguments or ()), "")
    return str(first)


def storage_fault(image: ImageFile.ImageFile) -> str | None:
    """Return what a file holds that Pillow does not read right; None where it does.

    Several pictures in a file are one such thing, but not those of an MPO, which is a photograph
    followed by previews of it.
    """
    pictures = getattr(image, "n_frames", 1)
    if pictures > 1 and image.format != "MPO":
        return f"{pictures} pictures in one file"
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _tiff_fault(image.tag_v2)
    return None


def _tiff_fault(tags: Any) -> str | None:
    depths = _numbers(tags.get(TiffImagePlugin.BITSPERSAMPLE, 1))
    channels = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, len(depths))
    formats = set(_numbers(tags.get(TiffImagePlugin.SAMPLEFORMAT, UNSIGNED)))
    if formats != {UNSIGNED}:
        return "signed or floating-point numbers, whose full scale is not stated"
    if not set(depths) <= {*WHOLE_DEPTHS, 16} or (16 in depths and channels > 1):
        return f"{max(depths)} bits in each of {channels} channels"
    # Pillow takes the raw mode's letters for the planes' names, and loses depth and inversion.
    if tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == IN_PLANES:
        return "each channel in a plane of its own (TIFF planar configuration 2)"
    white = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, WHITE_IS_ZERO)
    if 16 in depths and white == WHITE_IS_ZERO:  # Pillow inverts 8 bits, and forgets to invert 16
        return "16 bits of which 0 is white"
    return None


def _numbers(given: int | Iterable[int]) -> tuple[int, ...]:
    return (given,) if isinstance(given, int) else tuple(given)
