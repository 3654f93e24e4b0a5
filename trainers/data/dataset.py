"""A data set as the trainer sees it: three splits held decoded, their statistics, an identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from trainers.data.label_warnings import LabelFacts, label_warnings

IGNORE = 255  # the label of pixels that count neither in a loss nor in an evaluation

Colour = tuple[int, int, int]
Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Images and labels of equal size, in the order of `names`."""

    images: Tensor  # (N, 3, H, W) uint8
    labels: Tensor  # (N, H, W) uint8, 255 = ignore
    names: tuple[str, ...]
    facts: tuple[LabelFacts, ...] = ()  # of each label; none where it was not read from a file

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str) -> Split:
        """Return the split held on `device`; the same tensors where they lie there already."""
        images, labels = self.images.to(device), self.labels.to(device)
        return replace(self, images=images, labels=labels)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The splits of one data set; `report` is decoded at its first use."""

    train: Split
    selection: Split
    read_report: Callable[[], Split]
    class_names: tuple[str, ...]
    palette: tuple[Colour, ...]  # one colour a class
    mean: Triple  # of the train part, per channel, 0..255
    std: Triple
    fingerprint: str  # sha256 over names, contents and membership of all three splits
    note: str = ""  # what must accompany every result
    report_blocks: tuple[str, ...] = ()  # of each reported image: alike images share one

    @property
    def num_classes(self) -> int:
        """The number of classes, ignore not counted."""
        return len(self.class_names)

    def split(self, name: Literal["selection", "report"]) -> Split:
        """Return a split that students are evaluated on."""
        return self.selection if name == "selection" else self.report

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What looks wrong about the labels of train and selection, one line each."""
        splits = {"train": self.train.facts, "selection": self.selection.facts}
        return label_warnings(splits, self.class_names, self.palette)

    @property
    def full_note(self) -> str:
        """The note and the warnings in one text, as a launch keeps it."""
        parts = [self.note, *(f"Warning: {warning}." for warning in self.warnings)]
        return " ".join(text for text in parts if text)

    @cached_property
    def report(self) -> Split:
        """The split that neither training nor selection sees."""
        return self.read_report()


def channel_statistics(images: Tensor) -> tuple[Triple, Triple]:
    """Return mean and standard deviation per channel of (N, 3, H, W) uint8 images, in 0..255.

    The sums are integers, hence equal on every machine. A deviation under 1 is given as 1, so that
    a constant channel can still be normalised.
    """
    values = np.arange(256)
    counts = np.stack([_histogram(images[:, channel]) for channel in range(3)])
    total = counts.sum(1)
    mean = (counts @ values) / total
    std = np.sqrt((counts @ values**2) / total - mean**2).clip(min=1.0)
    return _triple(mean), _triple(std)


def _histogram(channel: Tensor) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    counts = np.zeros(256, dtype=np.int64)
    for image in channel.numpy():  # one image at a time: bincount makes 8 bytes of each
        counts += np.bincount(image.ravel(), minlength=256)
    return counts


def _triple(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Triple:
    red, green, blue = values.tolist()
    return red, green, blue
