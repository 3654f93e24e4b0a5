"""Previews: a student's predictions on a few evaluation images, as one small picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.data.batches import Normalisation, normalise
from trainers.data.dataset import Dataset, Split
from trainers.data.preview_sheet import PreviewSheet
from trainers.models.resampling import resize_bilinear

Predict = Callable[[Tensor], Tensor]  # normalised images (B, 3, H, W) -> logits (B, K, h, w)
Bytes = NDArray[np.uint8]

NUM_IMAGES = 3


class Previews:
    """The images that every preview of a task shows, and its teachers' predictions on them."""

    def __init__(self, dataset: Dataset, split: Split, normalisation: Normalisation) -> None:
        """Choose the images, evenly from the split, which lies on the device."""
        places = _places(len(split))
        self._images = normalise(split.images[places], normalisation)
        self._labels = split.labels[places].cpu().numpy()
        classes = dict(zip(dataset.class_names, dataset.palette, strict=True))
        self._sheet = PreviewSheet(split.images[places].cpu().numpy(), classes)
        self._teacher_predictions: dict[
            str, Bytes
        ] = {}  # a teacher's weights hash -> its predictions

    def draw(self, student: Predict, teacher: tuple[str, Predict] | None) -> bytes:
        """Return a PNG: image, labels, the student's prediction, the teacher's where there is one.

        A teacher is given with its weights' hash, and its predictions are computed once. To be
        called under inference mode; predicting changes nothing that training depends on.
        """
        columns = {"labels": self._labels, "student": self._predicted(student)}
        if teacher is not None:
            weights_hash, predict = teacher
            if weights_hash not in self._teacher_predictions:
                self._teacher_predictions[weights_hash] = self._predicted(predict)
            columns["teacher"] = self._teacher_predictions[weights_hash]
        return self._sheet.png(columns)

    def _predicted(self, predict: Predict) -> Bytes:
        logits = resize_bilinear(predict(self._images), self._labels.shape[1:])
        predicted: Bytes = logits.argmax(1).to(torch.uint8).cpu().numpy()
        return predicted


def _places(total: int) -> list[int]:
    """Return the indices of the images in a split of that size: equal for all trials of a task."""
    return sorted({(2 * place + 1) * total // (2 * NUM_IMAGES) for place in range(NUM_IMAGES)})
