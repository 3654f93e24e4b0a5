"""Where the columns of a preview sheet are: noted in the PNG itself, and read from there.

Apart from the drawing, so that a process that only shows previews loads no torch.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

from PIL import Image
from PIL.PngImagePlugin import PngInfo

KEY = "sweeper:columns"  # of the text chunk: JSON, column -> [left, top, right, bottom]
Box = tuple[int, int, int, int]  # pixels: left, top, right, bottom


def columns_note(boxes: Mapping[str, Box]) -> PngInfo:
    """Return what a PNG is saved with (`pnginfo`) so that `columns_of` finds its columns."""
    note = PngInfo()
    note.add_text(KEY, json.dumps(boxes))
    return note


def columns_of(png: bytes) -> dict[str, bytes]:
    """Return each column of a sheet as a PNG of its own; none for a PNG without the note."""
    with Image.open(io.BytesIO(png)) as sheet:
        boxes = json.loads(sheet.info.get(KEY, "{}"))
        return {name: _cut(sheet, tuple(box)) for name, box in boxes.items()}


def _cut(sheet: Image.Image, box: Box) -> bytes:
    file = io.BytesIO()
    sheet.crop(box).save(file, "PNG", optimize=True)
    return file.getvalue()
