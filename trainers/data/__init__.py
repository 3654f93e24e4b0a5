"""Data sets, decoded once to uint8 tensors, and split so that selection never sees the report."""

from __future__ import annotations

from pathlib import Path

from trainers.data.camvid import load_camvid
from trainers.data.dataset import IGNORE, Dataset, Split
from trainers.data.shapes import load_shapes
from trainers.tasks.schema import Data

__all__ = ["IGNORE", "Dataset", "Split", "load_dataset"]

READERS = {"camvid": load_camvid, "shapes": load_shapes}


def load_dataset(data: Data, root: Path | None) -> Dataset:
    """Return the data set that a task names, read below `root` where its reader needs files.

    Raises DataError, one line naming the file or option at fault.
    """
    return READERS[data.reader](data, root)
