"""Where the real CamVid lies, and a miniature of it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIZE = (12, 16)


@pytest.fixture(scope="session")
def camvid_root() -> Path:
    if "CAMVID_ROOT" not in os.environ:
        pytest.skip("CAMVID_ROOT does not name a folder with CamVid")
    return Path(os.environ["CAMVID_ROOT"])


@pytest.fixture
def write_camvid(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of a miniature: 20 train frames of A, which tests continue, and 10 of B."""

    def write(folder: str = "miniature", prefix: str = "", suffix: str = ".png") -> Path:
        root = tmp_path / folder
        numbers = {"A": range(0, 600, 30), "B": range(0, 300, 30)}
        train = [f"{name}_{number:06d}" for name, some in numbers.items() for number in some]
        write_split(root, "train", train, (prefix, suffix))
        write_split(root, "test", ["A_000600", "A_000630", "C_f00000"], (prefix, suffix))
        return root

    return write


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
