"""What a worker keeps between segments, since loading it takes longer than many a segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor

from trainers.data import Dataset, Split, load_dataset
from trainers.data.batches import IMAGENET, Batches, Normalisation, normalise
from trainers.models import SegmentationNet
from trainers.segment import Segment
from trainers.tasks import Task
from trainers.tasks.schema import Data
from trainers.teacher import load_teacher

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Data and teacher of one segment, on its device."""

    device: torch.device
    dataset: Dataset
    batches: Batches
    selection: Split
    teacher: SegmentationNet | None

    def training_batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return normalised images and int64 labels of step `step`, counted from 0."""
        images, labels = self.batches.batch(step)
        return _laid_out(images), labels

    def selection_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalised images and uint8 labels of the selection split, in order."""
        size = self.batches.image_batch
        split = self.selection
        for first in range(0, len(split), size):
            images = normalise(split.images[first : first + size], self.batches.normalisation)
            yield _laid_out(images), split.labels[first : first + size]


class Kept(Generic[Made]):
    """The last thing made; it is made anew when what it depends on has changed."""

    def __init__(self) -> None:
        self._key: object = None
        self._made: Made | None = None

    def get(self, key: object, make: Callable[[], Made]) -> Made:
        """Return what was made for `key`, or make it; the old one is let go before."""
        if self._made is None or key != self._key:
            self._made = None
            self._made = make()
            self._key = key
        return self._made


class Library:
    """Lends a segment its resources, and keeps them for the next one of the same kind."""

    def __init__(self) -> None:
        self._datasets: Kept[Dataset] = Kept()
        self._batches: Kept[tuple[Batches, Split]] = Kept()
        self._teachers: Kept[SegmentationNet] = Kept()

    def dataset(self, data: Data, root: Path | None) -> Dataset:
        """Return the data set, read once; DataError where it is lacking."""
        return self._datasets.get((data, root), lambda: load_dataset(data, root))

    def lend(self, segment: Segment) -> Resources:
        """Return the segment's data and teacher; DataError or CheckpointError where lacking."""
        task, root, device = segment.task, segment.data_root, torch.device(segment.device)
        dataset = self.dataset(task.data, root)
        normalisation = normalisation_of(task, dataset)

        def make() -> tuple[Batches, Split]:
            batches = Batches(
                split=dataset.train,
                augmentation=task.augmentation,
                image_batch=task.schedule.image_batch,
                seed=segment.seed,
                normalisation=normalisation,
                device=device,
            )
            return batches, dataset.selection.to(device)

        image_batch = task.schedule.image_batch
        key = (task.data, root, task.augmentation, image_batch, segment.seed, normalisation, device)
        batches, selection = self._batches.get(key, make)
        return Resources(
            device=device,
            dataset=dataset,
            batches=batches,
            selection=selection,
            teacher=self._teacher(segment, dataset.num_classes, device),
        )

    def _teacher(
        self, segment: Segment, num_classes: int, device: torch.device
    ) -> SegmentationNet | None:
        task, file = segment.task, segment.teacher
        if file is None or task.teacher is None:
            return None
        written = file.stat().st_mtime_ns if file.is_file() else None
        key = (file, written, task.teacher.net, num_classes, device)
        return self._teachers.get(key, lambda: load_teacher(task, file, num_classes, device))


def normalisation_of(task: Task, dataset: Dataset) -> Normalisation:
    """Return the one normalisation of a task's images: teacher and students see the same tensor.

    The teacher decides, so that it meets the images it was trained on: ImageNet's constants where
    its backbone comes with weights, else the statistics of the train split.
    """
    net = task.student if task.teacher is None else task.teacher.net
    if net.weights != "none":
        return IMAGENET
    return Normalisation(mean=dataset.mean, std=dataset.std)


def _laid_out(images: Tensor) -> Tensor:
    """Return the images in the memory layout of the nets on their device."""
    return images.contiguous(memory_format=torch.channels_last) if images.is_cuda else images
