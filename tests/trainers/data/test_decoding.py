"""Image files of every kind: what is decoded against numpy's own figures, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainers.data.image_files import (
    BITS,
    COLOURS,
    DEEP,
    DEEP_BIG,
    DEEP_LITTLE,
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
    in_mode,
    palette_image,
    png,
    saved,
    tiff,
)
from trainers.data.decoding import read_image
from trainers.errors import DataError


def grey(values: Array) -> Array:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=-1)


def scaled(values: Array) -> Array:
    """Return 16 bits as 8 by floating point, apart from how the reader does it."""
    return grey(np.rint(values.astype(np.float64) * 255 / 65535))


READ: dict[str, tuple[str, Write, Array]] = {
    "1-bit": ("png", saved(BITS), grey(BITS * 255)),
    "2-bit grey": ("png", lambda f: png(f, 2, 0, PAIRS), grey(INDEX * 85)),
    "4-bit grey": ("png", lambda f: png(f, 4, 0, NIBBLES), grey(INDEX * 17)),
    "8-bit grey": ("png", saved(GREY), grey(GREY)),
    "8-bit grey TIFF, 0 is white": (
        "tiff",
        lambda f: tiff(f, GREY.tobytes(), bits=8, photometric=0),
        grey(255 - GREY),
    ),
    "opaque grey and alpha": ("png", saved(np.dstack([GREY, OPAQUE])), grey(GREY)),
    "RGB": ("png", saved(RGB), RGB),
    "RGB as BMP": ("bmp", saved(RGB), RGB),
    "RGB as WebP": ("webp", saved(RGB, lossless=True), RGB),
    "RGB as PPM": ("ppm", saved(RGB), RGB),
    "RGB as LZW TIFF": ("tiff", saved(RGB, compression="tiff_lzw"), RGB),
    "opaque RGBA": ("png", saved(np.dstack([RGB, OPAQUE])), RGB),
    "palette": ("png", palette_image(), COLOURS[INDEX]),
    "palette as GIF": ("gif", palette_image(), COLOURS[INDEX]),
    "palette as TIFF": ("tiff", palette_image(), COLOURS[INDEX]),
    "palette with opaque alphas": ("png", palette_image(b"\xff" * 4), COLOURS[INDEX]),
    "palette with an unused clear index": ("png", palette_image(7), COLOURS[INDEX]),
    "RGB with an unused clear colour": ("png", saved(RGB, transparency=(1, 2, 3)), RGB),
    "16-bit grey": ("png", saved(DEEP.astype(np.uint16)), scaled(DEEP)),
    "16-bit grey TIFF": ("tiff", saved(DEEP.astype(np.uint16)), scaled(DEEP)),
    "16-bit grey LZW TIFF": (
        "tiff",
        saved(DEEP.astype(np.uint16), compression="tiff_lzw"),
        scaled(DEEP),
    ),
    "16-bit grey big-endian TIFF": (
        "tiff",
        lambda f: Image.frombytes("I;16B", (4, 3), DEEP_BIG).save(f),
        scaled(DEEP),
    ),
    "16-bit PGM": (
        "pgm",
        lambda f: f.write_bytes(b"P5 4 3 65535\n" + DEEP_BIG),
        scaled(DEEP),
    ),
    "12-bit PGM that says so": (
        "pgm",
        lambda f: f.write_bytes(b"P5 4 3 4095\n" + (GREY * 16.0).astype(">u2").tobytes()),
        grey(np.rint(GREY * 16.0 / 4095 * 255)),
    ),
    "16-bit PPM": (
        "ppm",
        lambda f: f.write_bytes(b"P6 4 3 65535\n" + np.repeat(DEEP, 3).astype(">u2").tobytes()),
        scaled(DEEP),
    ),
}


@pytest.mark.parametrize("kind", READ)
def test_an_image_is_decoded_to_what_it_shows(kind: str, tmp_path: Path) -> None:
    suffix, write, expected = READ[kind]
    file = tmp_path / f"image.{suffix}"
    write(file)
    assert np.asarray(read_image(file).image).tolist() == expected.tolist()


def test_a_jpeg_is_decoded_as_pillow_does(tmp_path: Path) -> None:
    file = tmp_path / "image.jpg"
    Image.fromarray(RGB).save(file)
    assert read_image(file).image.tobytes() == Image.open(file).convert("RGB").tobytes()


def test_a_photograph_followed_by_previews_is_read(tmp_path: Path) -> None:
    file = tmp_path / "image.mpo"
    Image.fromarray(RGB).save(file, save_all=True, append_images=[Image.new("RGB", (2, 2))])
    assert b"MPF" in file.read_bytes()
    assert read_image(file).size == (4, 3)


SEE_THROUGH = np.array(OPAQUE)
SEE_THROUGH[1, 2] = 254
CLEAR = r"some of its pixels are transparent"
DEEP_RGB = np.repeat(DEEP, 3)

REFUSED: dict[str, tuple[str, Write, str]] = {
    "grey and alpha": ("png", saved(np.dstack([GREY, SEE_THROUGH])), CLEAR),
    "RGBA": ("png", saved(np.dstack([RGB, SEE_THROUGH])), CLEAR),
    "palette with alphas": ("png", palette_image(b"\xff\xff\x80\xff"), CLEAR),
    "palette with a clear index": ("png", palette_image(2), CLEAR),
    "GIF with a clear index": ("gif", palette_image(2), CLEAR),
    "1-bit with a clear value": ("png", saved(BITS, transparency=0), CLEAR),
    "4-bit grey with a clear value": ("png", lambda f: png(f, 4, 0, NIBBLES, b"\0\3"), CLEAR),
    "grey with a clear value": ("png", saved(GREY, transparency=40), CLEAR),
    "RGB with a clear colour": ("png", saved(RGB, transparency=tuple(RGB[1, 1].tolist())), CLEAR),
    "16-bit grey with a clear value": ("png", lambda f: png(f, 16, 0, DEEP_BIG, b"\1\0"), CLEAR),
    "16-bit RGB": (
        "png",
        lambda f: png(f, 16, 2, DEEP_RGB.astype(">u2").tobytes()),
        r"16 bits in each of several channels",
    ),
    "16-bit grey and alpha": (
        "png",
        lambda f: png(f, 16, 4, np.repeat(DEEP, 2).astype(">u2").tobytes()),
        r"16 bits in each of several channels",
    ),
    "16-bit RGB TIFF": (
        "tiff",
        lambda f: tiff(
            f, DEEP_RGB.astype("<u2").tobytes(), bits=(16,) * 3, photometric=2, channels=3
        ),
        r"16 bits in each of 3 channels",
    ),
    "12-bit TIFF": (
        "tiff",
        lambda f: tiff(f, bytes(18), bits=12),
        r"12 bits in each of 1 channels",
    ),
    "signed 8-bit TIFF": (
        "tiff",
        lambda f: tiff(f, GREY.tobytes(), bits=8, sample_format=2),
        r"signed or floating-point",
    ),
    "16-bit TIFF, 0 is white": (
        "tiff",
        lambda f: tiff(f, DEEP_LITTLE, bits=16, photometric=0),
        r"16 bits of which 0 is white",
    ),
    "TIFF in planes": (
        "tiff",
        lambda f: tiff(f, GREY.tobytes(), bits=8, photometric=0, planar=2),
        r"a plane of its own",
    ),
    "32-bit TIFF": (
        "tiff",
        lambda f: tiff(f, DEEP.astype("<u4").tobytes(), bits=32),
        r"32 bits in each",
    ),
    "float TIFF": ("tiff", saved(GREY.astype(np.float32)), r"signed or floating-point"),
    "float PFM": (
        "pfm",
        lambda f: f.write_bytes(b"Pf 4 3 -1.0\n" + GREY.astype("<f4").tobytes()),
        r"floating-point numbers \(mode F\)",
    ),
    "CMYK TIFF": ("tiff", in_mode("CMYK"), r"printing inks \(mode CMYK\)"),
    "CMYK JPEG": ("jpg", in_mode("CMYK"), r"printing inks \(mode CMYK\)"),
    "YCbCr": ("tiff", in_mode("YCbCr"), r"colours of mode YCbCr"),
    "LAB": ("tiff", in_mode("LAB"), r"colours of mode LAB"),
    "animated GIF": (
        "gif",
        saved(GREY, save_all=True, append_images=[Image.fromarray(255 - GREY)]),
        r"2 pictures in one file",
    ),
    "animated PNG": (
        "png",
        saved(GREY, save_all=True, append_images=[Image.fromarray(255 - GREY)]),
        r"2 pictures in one file",
    ),
    "TIFF of pages": (
        "tiff",
        saved(GREY, save_all=True, append_images=[Image.fromarray(255 - GREY)]),
        r"2 pictures in one file",
    ),
    "unforeseen format": ("tga", saved(RGB), r"a file of format TGA"),
    "broken EXIF": ("png", saved(RGB, exif=b"II*\0"), r"its EXIF data is damaged"),
    "text": ("png", lambda f: f.write_text("PNG"), r"no image: Pillow cannot identify it"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_image_that_may_come_out_wrong_is_refused(kind: str, tmp_path: Path) -> None:
    suffix, write, found = REFUSED[kind]
    file = tmp_path / f"image.{suffix}"
    write(file)
    with pytest.raises(DataError, match=rf"image\.{suffix}: .*{found}") as raised:
        read_image(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_an_image_is_set_upright(orientation: int, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"image.{suffix}"
    Image.fromarray(RGB).save(file, exif=exif(orientation), lossless=True)
    picture = read_image(file)
    assert np.asarray(picture.image).tolist() == UPRIGHT[orientation](RGB).tolist()
    assert (picture.orientation, picture.stored_size) == (orientation, (4, 3))


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_jpeg_is_set_upright(orientation: int, tmp_path: Path) -> None:
    file = tmp_path / "image.jpg"
    pixels = np.zeros((16, 32), dtype=np.uint8)
    pixels[:8, :8] = 255  # a whole block, so that loss does not blur it
    Image.fromarray(pixels).save(file, exif=exif(orientation), quality=95)
    shown = np.asarray(read_image(file).image)[..., 0] > 127
    assert shown.tolist() == (UPRIGHT[orientation](pixels) > 127).tolist()


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_orientation_outside_the_standard_is_none(orientation: int, tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    Image.fromarray(RGB).save(file, exif=exif(orientation))
    assert np.asarray(read_image(file).image).tolist() == RGB.tolist()
