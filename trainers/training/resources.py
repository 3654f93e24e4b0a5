"""Data, teacher and previews of a segment, kept for the next one: loading takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor

from trainers.data import Dataset, Split, load_dataset
from trainers.data.batches import IMAGENET, Batches, Normalisation, normalise
from trainers.tasks import Task
from trainers.tasks.schema import Data
from trainers.training.checkpoints import weights_hash
from trainers.training.previews import Previews
from trainers.training.segment import Segment
from trainers.training.teacher_file import LoadedTeacher, load_teacher

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Data and teacher of one segment, on its device."""

    device: torch.device
    dataset: Dataset
    batches: Batches
    evaluation_split: Split  # the one that the segment is evaluated on
    get_teacher: Callable[[], LoadedTeacher | None]  # loaded only when it is called
    get_previews: Callable[[], Previews]  # likewise

    def evaluation_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalised images and uint8 labels of the evaluation split, in order."""
        size, normalisation = self.batches.image_batch, self.batches.normalisation
        return in_batches(self.evaluation_split, size, normalisation)


class SingleSlotCache(Generic[Made]):
    """Holds the last thing made; makes a new one when what it depends on has changed."""

    def __init__(self) -> None:
        self._key: object = None
        self._made: Made | None = None

    def get(self, key: object, make: Callable[[], Made]) -> Made:
        """Return what was made for `key`, or make it; the old one is freed first."""
        if self._made is None or key != self._key:
            self._made = None
            self._made = make()
            self._key = key
        return self._made


class ResourceCache:
    """Loads what a segment needs, and keeps it for the next segment of the same kind."""

    def __init__(self) -> None:
        self._datasets: SingleSlotCache[Dataset] = SingleSlotCache()
        self._batches: SingleSlotCache[Batches] = SingleSlotCache()
        self._evaluation_splits: SingleSlotCache[Split] = SingleSlotCache()
        self._teachers: SingleSlotCache[LoadedTeacher] = SingleSlotCache()
        self._previews: SingleSlotCache[Previews] = SingleSlotCache()

    def dataset(self, data: Data, root: Path | None) -> Dataset:
        """Return the data set, read once; DataError where it is lacking."""
        return self._datasets.get((data, root), lambda: load_dataset(data, root))

    def get(self, segment: Segment) -> Resources:
        """Return the segment's data, and its teacher on demand; DataError where data is lacking."""
        task, root, device = segment.task, segment.data_root, torch.device(segment.device)
        dataset = self.dataset(task.data, root)
        normalisation = normalisation_of(task, dataset)

        def make() -> Batches:
            return Batches(
                split=dataset.train,
                augmentation=task.augmentation,
                image_batch=task.schedule.image_batch,
                seed=segment.seed,
                normalisation=normalisation,
                device=device,
            )

        image_batch = task.schedule.image_batch
        key = (task.data, root, task.augmentation, image_batch, segment.seed, normalisation, device)
        batches = self._batches.get(key, make)
        split = (task.data, root, segment.evaluation_split, device)
        evaluation_split = self._evaluation_splits.get(
            split, lambda: dataset.split(segment.evaluation_split).to(device)
        )

        def get_teacher() -> LoadedTeacher | None:
            if segment.teacher is None or task.teacher is None:
                return None
            wanted = segment.hashes.get(segment.teacher)
            return self.teacher(task, segment.teacher, dataset.num_classes, device, wanted)

        def get_previews() -> Previews:
            key = (split, normalisation)
            return self._previews.get(
                key, lambda: Previews(dataset, evaluation_split, normalisation)
            )

        return Resources(
            device=device,
            dataset=dataset,
            batches=batches,
            evaluation_split=evaluation_split,
            get_teacher=get_teacher,
            get_previews=get_previews,
        )

    def teacher(
        self,
        task: Task,
        file: Path,
        num_classes: int,
        device: torch.device,
        wanted: str | None = None,
    ) -> LoadedTeacher:
        """Return the task's teacher, with weights of the hash `wanted` if that is given.

        CheckpointError or TaskError where it cannot be had.
        """

        def make() -> LoadedTeacher:
            net = load_teacher(task, file, num_classes, device, wanted)
            return LoadedTeacher(net=net, weights_hash=weights_hash(net.state_dict()))

        written = file.stat().st_mtime_ns if file.is_file() else None
        net = None if task.teacher is None else task.teacher.net
        return self._teachers.get((file, written, net, num_classes, device, wanted), make)


def normalisation_of(task: Task, dataset: Dataset) -> Normalisation:
    """Return the one normalisation of a task's images: teacher and students see the same tensor.

    The teacher decides, so that it meets the images it was trained on: ImageNet's constants where
    its backbone comes with weights, else the statistics of the train split.
    """
    net = task.student if task.teacher is None else task.teacher.net
    if net.weights != "none":
        return IMAGENET
    return Normalisation(mean=dataset.mean, std=dataset.std)


def in_batches(
    split: Split, size: int, normalisation: Normalisation
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield normalised images and uint8 labels of a split, in order, `size` at a time."""
    for first in range(0, len(split), size):
        images = normalise(split.images[first : first + size], normalisation)
        yield images, split.labels[first : first + size]
