"""A sheet of images beside label maps in the classes' colours, as one small palette PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from trainers.data.dataset import IGNORE, Colour
from trainers.data.preview_columns import Box, columns_note

Bytes = NDArray[np.uint8]

WIDTH = 900  # pixels of a whole sheet, at most
COLUMNS = 4  # at most, the images' own included
GAP = 6  # pixels between panels
LINE = 20  # pixels of a line of text
SWATCH = 12  # pixels of a colour in the legend
TONES = 32  # colours left for the images: enough to know them by, and a small file
VOID, PAPER, INK = (0, 0, 0), (255, 255, 255), (40, 40, 40)


class PreviewSheet:
    """Images for the first column of every sheet drawn, one a row."""

    def __init__(self, images: Bytes, classes: Mapping[str, Colour]) -> None:
        """Prepare the images (N, 3, H, W); `classes` are names and colours in label order."""
        self._classes = classes
        self._size = _panel_size(images.shape[3], images.shape[2])
        colours = (*classes.values(), VOID, PAPER, INK)
        self._void, self._paper, self._ink = (len(classes) + place for place in range(3))
        photos = [self._resized(image.transpose(1, 2, 0)) for image in images]
        tones = Image.fromarray(np.vstack(photos)).quantize(TONES, dither=Image.Dither.NONE)
        self._photos = np.split(np.asarray(tones) + np.uint8(len(colours)), len(photos))
        self._palette = [value for colour in colours for value in colour]
        self._palette += tones.getpalette() or []

    def png(self, columns: Mapping[str, Bytes]) -> bytes:
        """Return the images, then a column for each named stack of labels (N, H, W), as a PNG.

        Where the columns and the legend are is noted in it: `preview_columns.columns_of`.
        """
        panels = {"image": self._photos}
        panels |= {name: self._coloured(labels) for name, labels in columns.items()}
        width = GAP + len(panels) * self._pitch[0]
        legend = self._legend(width)
        bottom = LINE + len(self._photos) * self._pitch[1]
        sheet = Image.new("P", (width, bottom + LINE * (1 + legend[-1][1])), self._paper)
        sheet.putpalette(self._palette)
        for column, (name, stack) in enumerate(panels.items()):
            left = GAP + column * self._pitch[0]
            _write(sheet, (left, 2), name, self._ink)
            for row, panel in enumerate(stack):
                sheet.paste(Image.fromarray(panel), (left, LINE + row * self._pitch[1]))
        for number, (x, line) in enumerate(legend):
            self._draw_class(sheet, (x, bottom + line * LINE), number)
        note = columns_note(self._boxes(list(panels)) | {"legend": (0, bottom, *sheet.size)})
        file = io.BytesIO()
        # Level 9 is a tenth smaller, in triple the time.
        sheet.save(file, "PNG", compress_level=6, pnginfo=note)
        return file.getvalue()

    @property
    def _pitch(self) -> tuple[int, int]:
        return self._size[0] + GAP, self._size[1] + GAP

    def _boxes(self, names: Sequence[str]) -> dict[str, Box]:
        """Return where each column's panels are, without its name."""
        lefts = [GAP + place * self._pitch[0] for place in range(len(names))]
        bottom = LINE + len(self._photos) * self._pitch[1] - GAP
        return {
            name: (left, LINE, left + self._size[0], bottom)
            for name, left in zip(names, lefts, strict=True)
        }

    def _resized(self, image: Bytes) -> Bytes:
        smaller = self._size[0] < image.shape[1]
        how = Image.Resampling.BOX if smaller else Image.Resampling.NEAREST
        return np.asarray(Image.fromarray(image).resize(self._size, how))

    def _coloured(self, labels: Bytes) -> list[Bytes]:
        """Return one panel a label map; what is void gets a colour of its own."""
        indices = np.where(labels == IGNORE, self._void, labels).astype(np.uint8)
        nearest = Image.Resampling.NEAREST
        return [np.asarray(Image.fromarray(each).resize(self._size, nearest)) for each in indices]

    def _legend(self, width: int) -> list[tuple[int, int]]:
        """Return the x and the line of every class, line by line within the width."""
        font, places, x, line = _font(), [], GAP, 0
        for name in self._classes:
            needed = SWATCH + 4 * GAP + round(font.getlength(name))
            if x > GAP and x + needed > width:
                x, line = GAP, line + 1
            places.append((x, line))
            x += needed
        return places

    def _draw_class(self, sheet: Image.Image, place: tuple[int, int], number: int) -> None:
        x, y = place
        box = (x, y + 2, x + SWATCH, y + 2 + SWATCH)
        ImageDraw.Draw(sheet).rectangle(box, fill=number, outline=self._ink)
        _write(sheet, (x + SWATCH + GAP, y), list(self._classes)[number], self._ink)


def _panel_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height of a panel: a whole multiple of small images, large ones less."""
    most = (WIDTH - GAP) // COLUMNS - GAP
    if width <= most:
        return width * (most // width), height * (most // width)
    return most, max(1, round(height * most / width))


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(13)


def _write(sheet: Image.Image, place: tuple[int, int], text: str, colour: int) -> None:
    ImageDraw.Draw(sheet).text(place, text, fill=colour, font=_font())
