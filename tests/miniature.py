"""CamVid in miniature: 20 train frames of recording A, which tests continue, and 10 of B."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (12, 16)


def write_miniature(root: Path, prefix: str = "", suffix: str = ".png") -> Path:
    """Write the frames and their lists, whose lines begin with a prefix; return the folder."""
    numbers = {"A": range(0, 600, 30), "B": range(0, 300, 30)}
    train = [f"{name}_{number:06d}" for name, some in numbers.items() for number in some]
    write_split(root, "train", train, (prefix, suffix))
    write_split(root, "test", ["A_000600", "A_000630", "C_f00000"], (prefix, suffix))
    return root


def write_split(root: Path, split: str, names: list[str], style: tuple[str, str]) -> None:
    prefix, suffix = style
    rng = np.random.default_rng(len(names))
    for folder in (split, f"{split}annot"):
        (root / folder).mkdir(parents=True)
    for name in names:
        pixels = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / split / f"{name}.png")
        classes = rng.integers(0, 12, SIZE, dtype=np.uint8)
        Image.fromarray(classes).save(root / f"{split}annot" / f"{name}.png")
    lines = [f"{prefix}{split}/{name}{suffix} {prefix}{split}annot/{name}.png" for name in names]
    (root / f"{split}.txt").write_text("\n".join(lines) + "\n")


def leave_out_class_0(root: Path) -> None:
    """Change every label so that it looks as if its classes were numbered from 1."""
    for file in root.glob("*annot/*.png"):
        with Image.open(file) as label:
            numbers = np.asarray(label)
        Image.fromarray(np.where(numbers == 0, 1, numbers).astype(np.uint8)).save(file)
