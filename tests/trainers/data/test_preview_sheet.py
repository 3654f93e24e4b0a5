"""Sheets: what stands where, in which colours, and how large they may become."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from trainers.data import IGNORE
from trainers.data.preview_columns import columns_of
from trainers.data.preview_sheet import GAP, LINE, VOID, WIDTH, PreviewSheet

CLASSES = {"road": (128, 64, 128), "tree": (128, 128, 0)}


def drawn(size: tuple[int, int], classes: dict[str, tuple[int, int, int]], *names: str) -> bytes:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (2, 3, *size), dtype=np.uint8)
    labels = np.zeros((2, *size), dtype=np.uint8)
    labels[1], labels[0, 0] = 1, IGNORE
    return PreviewSheet(images, classes).png(dict.fromkeys(names, labels))


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def test_each_row_shows_its_labels_in_the_classes_colours_and_what_is_void() -> None:
    sheet = opened(drawn((30, 40), CLASSES, "labels", "student", "teacher"))
    width, height = 40 * 5, 30 * 5
    for column in (1, 2, 3):
        left = GAP + column * (width + GAP)
        middles = [(left + width // 2, LINE + height // 2 + row * (height + GAP)) for row in (0, 1)]
        assert [sheet.getpixel(place) for place in middles] == list(CLASSES.values())
        assert sheet.getpixel((left, LINE)) == VOID


@pytest.mark.parametrize("size", [(8, 8), (48, 64), (720, 960)])
def test_a_sheet_is_never_too_wide(size: tuple[int, int]) -> None:
    assert opened(drawn(size, CLASSES, "labels", "student", "teacher")).width <= WIDTH


def test_a_long_legend_goes_on_in_the_next_line() -> None:
    many = {f"class number {n}": (n, n, n) for n in range(100, 130)}
    few, more = (opened(drawn((48, 64), classes, "labels")) for classes in (CLASSES, many))
    assert more.width == few.width
    assert (more.height - few.height) % LINE == 0 and more.height > few.height + LINE


def test_a_sheet_knows_where_its_columns_are() -> None:
    columns = columns_of(drawn((30, 40), CLASSES, "labels", "student"))
    assert list(columns) == ["image", "labels", "student", "legend"]
    labels = opened(columns["labels"])
    assert labels.size == (40 * 5, 2 * 30 * 5 + GAP)
    middles = [(100, 75), (100, 75 + 150 + GAP)]
    assert [labels.getpixel(place) for place in middles] == list(CLASSES.values())


def test_a_picture_that_is_no_sheet_has_no_columns() -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    assert columns_of(file.getvalue()) == {}
