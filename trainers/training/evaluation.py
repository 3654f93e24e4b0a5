"""Mean intersection over union from one integer confusion matrix, which adds up in any order."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainers.data.dataset import IGNORE
from trainers.training.confusions import packed


class Confusion:
    """Counts of (true class, predicted class) over all labelled pixels, kept on the device."""

    def __init__(self, num_classes: int, device: torch.device) -> None:
        self.num_classes = num_classes
        size = num_classes**2
        self._counts = torch.zeros(size, dtype=torch.int64, device=device)
        self._finite = torch.ones((), dtype=torch.bool, device=device)

    def add(self, logits_BKHW: Tensor, labels_BHW: Tensor) -> None:
        """Count one batch of logits, at label size, against its labels; 255 is left out."""
        largest_BHW, predicted_BHW = logits_BKHW.max(1)  # argmax takes five times as long on a CPU
        self._finite &= largest_BHW.isfinite().all()  # NaN counts as the largest
        labels_N, predicted_N = labels_BHW.flatten().long(), predicted_BHW.flatten()
        pairs_N = labels_N * self.num_classes + predicted_N
        pairs_N = pairs_N.where(labels_N != IGNORE, self.num_classes**2)
        self._book(pairs_N.view(len(labels_BHW), -1))

    def _book(self, pairs_BN: Tensor) -> None:
        self._counts += self._counted(pairs_BN.flatten())

    def _counted(self, pairs_N: Tensor) -> Tensor:
        return torch.bincount(pairs_N, minlength=self.num_classes**2 + 1)[:-1]

    @property
    def matrix(self) -> Tensor:
        """The counts (K, K): row = true class, column = predicted class."""
        return self._counts.view(self.num_classes, self.num_classes)

    def scores(self) -> tuple[float, tuple[float | None, ...]]:
        """Return mIoU and each class's IoU in percent; NaN and () where a logit was not finite.

        A class without a pixel in the ground truth is None and does not enter the mean.
        """
        if not bool(self._finite):
            return math.nan, ()
        class_iou = intersection_over_union(self.matrix)
        present = [iou for iou in class_iou if iou is not None]
        return (sum(present) / len(present) if present else math.nan), class_iou


class ImageConfusions(Confusion):
    """The same with the counts of every image kept, in the order of their coming."""

    def __init__(self, num_classes: int, device: torch.device) -> None:
        super().__init__(num_classes, device)
        self._images: list[Tensor] = []

    def _book(self, pairs_BN: Tensor) -> None:
        counts_BP = torch.stack([self._counted(pairs_N) for pairs_N in pairs_BN])
        self._images += counts_BP.to(torch.int32).cpu().unbind()
        self._counts += counts_BP.sum(0)

    def packed(self) -> bytes:
        """Return the matrices (images, K, K), compressed."""
        shape = (len(self._images), self.num_classes, self.num_classes)
        return packed(torch.stack(self._images).view(shape).numpy())


def intersection_over_union(matrix_KK: Tensor) -> tuple[float | None, ...]:
    """Return each class's IoU in percent from a confusion matrix; None without ground truth."""
    hits, true, predicted = matrix_KK.diagonal(), matrix_KK.sum(1), matrix_KK.sum(0)
    union = (true + predicted - hits).tolist()
    rows = zip(hits.tolist(), true.tolist(), union, strict=True)
    return tuple(100 * hit / total if pixels else None for hit, pixels, total in rows)
