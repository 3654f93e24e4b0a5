"""P6: images a second of our batches, against PIL behind a torch DataLoader.

Run by hand: `CAMVID_ROOT=... python tests/benchmarks/data_pipeline.py`. One thread each, in turns;
seconds are the process's CPU time, so that other work on the machine counts for neither. Both sides
do the same augmentation of the same frames: scale, flip, pad, crop, normalise. PIL is measured as
public scripts have it (a file of the task's size decoded at every access), and with all frames held
decoded. Our own decoding, once per process, is printed beside it.
"""

import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from trainers.data import IGNORE, Split, load_dataset
from trainers.data.batches import Batches, Normalisation
from trainers.tasks import load_task
from trainers.tasks.schema import Augmentation

IMAGE_BATCH = 8
ROUNDS = 7
SECONDS = 1.0  # of CPU time, of each round


class PilFrames(TorchDataset[tuple[Tensor, Tensor]]):
    """Frames augmented one by one, as public training scripts do."""

    def __init__(
        self, files: list[tuple[Path, Path]], augmentation: Augmentation, values: Normalisation
    ) -> None:
        self.files = files
        self.augmentation = augmentation
        self.colour = tuple(round(value) for value in values.mean)
        self.mean = torch.tensor(values.mean).view(3, 1, 1)
        self.std = torch.tensor(values.std).view(3, 1, 1)
        self.held: list[tuple[Image.Image, Image.Image]] = []

    def hold(self) -> "PilFrames":
        self.held = [self._decode(index) for index in range(len(self.files))]
        return self

    def _decode(self, index: int) -> tuple[Image.Image, Image.Image]:
        image, label = self.files[index]
        return Image.open(image).convert("RGB"), Image.open(label).convert("L")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, label = self.held[index] if self.held else self._decode(index)
        scale = random.uniform(*self.augmentation.scale)
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Image.Resampling.BILINEAR)
        label = label.resize(size, Image.Resampling.NEAREST)
        if self.augmentation.flip and random.random() < 0.5:
            image, label = ImageOps.mirror(image), ImageOps.mirror(label)
        box = self._box(size)
        pixels = np.asarray(self._crop(image, box, self.colour))
        classes = np.asarray(self._crop(label, box, (IGNORE,)))
        normalised = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32))
        return normalised.sub_(self.mean).div_(self.std), torch.from_numpy(classes.astype(np.int64))

    def _box(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the crop's left and top in the scaled image; negative where it is padded."""
        crop = self.augmentation.crop[::-1]
        left, top = (round(random.random() * (s - c)) for s, c in zip(size, crop, strict=True))
        return left, top

    def _crop(
        self, image: Image.Image, corner: tuple[int, int], fill: tuple[int, ...]
    ) -> Image.Image:
        height, width = self.augmentation.crop
        canvas = Image.new(image.mode, (width, height), fill if len(fill) > 1 else fill[0])
        canvas.paste(image, (-corner[0], -corner[1]))
        return canvas


def write_frames(split: Split, folder: Path) -> list[tuple[Path, Path]]:
    """Write the split as image and label files of its own size; return their paths."""
    files = []
    for name, image, label in zip(split.names, split.images, split.labels, strict=True):
        pair = (folder / f"{name}.png", folder / f"{name}-label.png")
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(pair[0])
        Image.fromarray(label.numpy()).save(pair[1])
        files.append(pair)
    return files


def pil_batches(frames: PilFrames) -> Iterator[object]:
    loader = DataLoader(frames, IMAGE_BATCH, shuffle=True, drop_last=True)
    return chain.from_iterable(iter(loader) for _ in count())


def images_per_second(batches: Iterator[object]) -> float:
    start, made = time.process_time(), 0
    while (elapsed := time.process_time() - start) < SECONDS:
        next(batches)
        made += IMAGE_BATCH
    return made / elapsed


def compare(task_name: str, root: Path | None, folder: Path) -> None:
    task = load_task(task_name)
    start = time.perf_counter()
    dataset = load_dataset(task.data, root)
    loading = time.perf_counter() - start
    values = Normalisation(dataset.mean, dataset.std)
    ours = Batches(
        split=dataset.train,
        augmentation=task.augmentation,
        image_batch=IMAGE_BATCH,
        seed=0,
        normalisation=values,
    )
    files = write_frames(dataset.train, folder)
    decoding, holding = (PilFrames(files, task.augmentation, values) for _ in range(2))
    sides: dict[str, Iterator[object]] = {
        "ours": (ours.batch(step) for step in count()),
        "PIL, decoding": pil_batches(decoding),
        "PIL, held decoded": pil_batches(holding.hold()),
    }
    speeds = measure(sides)
    height, width = task.data.size
    print(f"{task_name}: {height} x {width}, {len(files)} frames, loaded once in {loading:.2f} s")
    for name, speed in speeds.items():
        print(f"  {name:18} {speed:8.0f} images/s   ours is {speeds['ours'] / speed:5.1f} x")


def measure(sides: dict[str, Iterator[object]]) -> dict[str, float]:
    """Return each side's median speed over rounds taken in turns."""
    rounds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, batches in sides.items():
            rounds[name].append(images_per_second(batches))
    return {name: statistics.median(speeds) for name, speeds in rounds.items()}


def main() -> None:
    torch.set_num_threads(1)
    root = os.environ.get("CAMVID_ROOT")
    tasks = ["shapes", *(["camvid-tiny", "camvid-deeplabv3-r18"] if root else [])]
    if not root:
        print("CAMVID_ROOT is not set: only generated scenes are measured")
    for task in tasks:
        with tempfile.TemporaryDirectory() as folder:
            compare(task, Path(root) if root else None, Path(folder))


if __name__ == "__main__":
    main()
