"""Procedural scenes: a segmentation problem with nothing to download, for demonstrations and tests.

Objects of random size and angle overlap before sky and ground, under uneven light. Colour only
hints at the class: discs, squares and triangles differ by outline, stripes by their texture. A
quarter-width ResNet-18 at stride 8 reaches 38 mIoU in 100 steps of 8 images, and 55 in 300; the
colour of a pixel alone gives 49 at best.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from trainers.data.dataset import IGNORE, Dataset, Split, channel_statistics
from trainers.errors import DataError, near_miss
from trainers.tasks.schema import Data

Array = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Outline = Callable[[Array, Array], Array]

CLASSES = {
    "sky": (150, 190, 230),
    "ground": (90, 80, 60),
    "disc": (230, 80, 60),
    "square": (60, 60, 200),
    "triangle": (250, 200, 50),
    "stripes": (40, 170, 90),
}
DEFAULTS = {"seed": 1, "train": 160, "selection": 40, "test": 40}
MOST_OBJECTS = 5
RADIUS = (0.22, 0.42)  # of the scene's shorter side
TYPICALITY = 0.65  # share of the class's typical colour in an object's; the rest is random
NOISE = 0.03  # standard deviation, of full brightness


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where an object is, and how it is turned: pixels and radians."""

    x: float
    y: float
    radius: float
    angle: float

    @classmethod
    def draw(cls, rng: Generator, size: tuple[int, int]) -> Placement:
        """Return a random placement whose centre lies within a scene of `size` (height, width)."""
        height, width = size
        x, y, radius, angle = rng.random(4).tolist()
        low, high = (share * min(size) for share in RADIUS)
        return cls(
            x=x * width, y=y * height, radius=low + radius * (high - low), angle=angle * 2 * np.pi
        )

    def coordinates(self, size: tuple[int, int]) -> tuple[Array, Array]:
        """Return x and y of every pixel centre (H, W) in the object's frame, in radii."""
        y, x = np.mgrid[: size[0], : size[1]] + 0.5
        x, y = (x - self.x) / self.radius, (y - self.y) / self.radius
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return cosine * x + sine * y, cosine * y - sine * x


def load_shapes(data: Data, root: Path | None) -> Dataset:  # noqa: ARG001 (it needs no files)
    """Return generated scenes of `data.size`; `root` is not used.

    Options: `seed`, and the number of images `train`, `selection`, `test` (the report). The scene
    (seed, split, index) depends on nothing else, so a larger split begins with the smaller one.
    """
    options = _options(data)
    train, selection, report = (
        make_split(data.size, (options["seed"], number), options[name])
        for number, name in enumerate(("train", "selection", "test"))
    )
    mean, std = channel_statistics(train.images)
    return Dataset(
        train=train,
        selection=selection,
        read_report=lambda: report,
        class_names=tuple(CLASSES),
        palette=tuple(CLASSES.values()),
        mean=mean,
        std=std,
        fingerprint=_fingerprint((train, selection, report)),
        report_blocks=report.names,
        note="shapes: procedural scenes, a demonstration; no claim about real images.",
    )


def make_split(size: tuple[int, int], seeds: tuple[int, int], count: int) -> Split:
    """Return `count` scenes of (height, width); `seeds` are the data set's and the split's."""
    scenes = [make_scene(size, np.random.default_rng([*seeds, index])) for index in range(count)]
    images, labels = (np.stack(arrays) for arrays in zip(*scenes, strict=True))
    names = tuple(f"{seeds[0]}-{seeds[1]}-{index:05d}" for index in range(count))
    return Split(images=torch.from_numpy(images), labels=torch.from_numpy(labels), names=names)


def make_scene(size: tuple[int, int], rng: Generator) -> tuple[Bytes, Bytes]:
    """Return one scene: image (3, H, W), labels (H, W) with 255 a pixel wide around objects."""
    image, labels = _background(size, rng)
    for _ in range(rng.integers(2, MOST_OBJECTS + 1)):
        _paint(image, labels, rng)
    image *= 1.0 + 0.4 * _wave(size, rng, longest=4.0)  # uneven light
    image += NOISE * rng.standard_normal(image.shape)
    return (image.clip(0.0, 1.0) * 255.0).round().astype(np.uint8), labels


def _background(size: tuple[int, int], rng: Generator) -> tuple[Array, Bytes]:
    """Return sky above ground, each of its own colour and texture, and their labels."""
    rows = np.mgrid[: size[0], : size[1]][0]
    horizon = size[0] * (rng.uniform(0.35, 0.65) + 0.08 * _wave(size, rng, longest=2.0))
    texture = np.where(rows > horizon, _wave(size, rng, longest=0.3), _wave(size, rng, longest=1.0))
    image = np.where(rows > horizon, _colour(1, rng), _colour(0, rng)) + 0.08 * texture
    return image, np.where(abs(rows - horizon) < 0.5, IGNORE, rows > horizon).astype(np.uint8)


def _colour(number: int, rng: Generator) -> Array:
    """Return a random colour (3, 1, 1) of the class, on its way to the class's typical one."""
    typical = np.array(list(CLASSES.values())[number]).reshape(3, 1, 1) / 255.0
    return (1.0 - TYPICALITY) * rng.random((3, 1, 1)) + TYPICALITY * typical


def _wave(size: tuple[int, int], rng: Generator, longest: float) -> Array:
    """Return a plane wave (H, W) in -1..1, of `longest` scene heights or down to half of it."""
    y, x = np.mgrid[: size[0], : size[1]] / size[0]
    angle, phase = rng.uniform(0.0, 2 * np.pi, 2)
    frequency = 2 * np.pi / (longest * rng.uniform(0.5, 1.0))
    wave: Array = np.sin(frequency * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    return wave


def _paint(image: Array, labels: Bytes, rng: Generator) -> None:
    """Paint one object of a random class over what is there, image and labels both."""
    size = (labels.shape[0], labels.shape[1])
    number = int(rng.integers(2, len(CLASSES)))
    striped = number == len(CLASSES) - 1
    outline = OUTLINES[int(rng.integers(len(OUTLINES))) if striped else number - 2]
    placement = Placement.draw(rng, size)
    x, y = placement.coordinates(size)
    outside = outline(x, y) * placement.radius  # pixels
    first = _colour(number, rng)
    second = (np.sin(x * rng.uniform(6.0, 9.0)) > 0) & striped
    cover = (0.5 - outside).clip(0.0, 1.0)  # share of the pixel that the object covers
    image += cover * (np.where(second, (first + 0.5) % 1.0, first) - image)
    labels[outside < 0.5] = IGNORE
    labels[outside <= -0.5] = number


def _disc(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 0.95


def _square(x: Array, y: Array) -> Array:
    return np.maximum(abs(x), abs(y)) - 0.85


def _triangle(x: Array, y: Array) -> Array:
    slanted = 0.75**0.5 * abs(x) - 0.5 * y
    distance: Array = np.maximum(slanted, y) - 0.6
    return distance


# Signed distance to the outline in radii, negative inside, of classes 2 to 4 in turn.
OUTLINES: tuple[Outline, ...] = (_disc, _square, _triangle)


def _options(data: Data) -> dict[str, int]:
    """Return the reader's options over their defaults; DataError names the first fault."""
    for key, value in data.options.items():
        if key not in DEFAULTS:
            raise DataError(f"data.options: unknown key {key!r}{near_miss(key, DEFAULTS)}")
        lowest = 0 if key == "seed" else 1
        if not isinstance(value, int) or value < lowest:
            raise DataError(f"data.options.{key}: must be an integer >= {lowest}, got {value!r}")
    return DEFAULTS | {key: int(value) for key, value in data.options.items()}


def _fingerprint(splits: Iterable[Split]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        digest.update(repr((split.names, tuple(split.images.shape))).encode())
        digest.update(split.images.numpy().tobytes())
        digest.update(split.labels.numpy().tobytes())
    return digest.hexdigest()
