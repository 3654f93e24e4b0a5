"""What a student makes of a few images of the split it is judged on, as one small picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.data import Dataset, Split
from trainers.data.batches import Normalisation, normalise
from trainers.data.preview_sheet import Sheet
from trainers.models.resampling import resize_bilinear

Predict = Callable[[Tensor], Tensor]  # normalised images (B, 3, H, W) -> logits (B, K, h, w)
Bytes = NDArray[np.uint8]

NUM_IMAGES = 3


class Gallery:
    """The images that every picture of a task shows, and what its teachers make of them."""

    def __init__(self, dataset: Dataset, split: Split, normalisation: Normalisation) -> None:
        """Choose the images, evenly from the split, which lies on the device."""
        places = _places(len(split))
        self._images = normalise(split.images[places], normalisation)
        self._labels = split.labels[places].cpu().numpy()
        classes = dict(zip(dataset.class_names, dataset.palette, strict=True))
        self._sheet = Sheet(split.images[places].cpu().numpy(), classes)
        self._taught: dict[str, Bytes] = {}  # a teacher's weights hash -> its predictions

    def draw(self, student: Predict, teacher: tuple[str, Predict] | None) -> bytes:
        """Return a PNG: image, labels, the student's prediction, the teacher's where there is one.

        A teacher comes with its weights' hash and is asked once. To be called under inference mode;
        the predictions are nothing but evaluation, so they change nothing of a training.
        """
        columns = {"labels": self._labels, "student": self._predicted(student)}
        if teacher is not None:
            weights_hash, predict = teacher
            if weights_hash not in self._taught:
                self._taught[weights_hash] = self._predicted(predict)
            columns["teacher"] = self._taught[weights_hash]
        return self._sheet.png(columns)

    def _predicted(self, predict: Predict) -> Bytes:
        logits = resize_bilinear(predict(self._images), self._labels.shape[1:])
        predicted: Bytes = logits.argmax(1).to(torch.uint8).cpu().numpy()
        return predicted


def _places(total: int) -> list[int]:
    """Return where the images stand in a split of so many: the same for every trial of a task."""
    return sorted({(2 * place + 1) * total // (2 * NUM_IMAGES) for place in range(NUM_IMAGES)})
