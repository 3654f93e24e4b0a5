"""What is said of labels that can be read: each with labels beside it of which it is not said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainers.data.image_files import Array
from trainers.data import Dataset, load_dataset
from trainers.data.frames import Frame, FrameReader
from trainers.tasks.schema import Data

SIZE = (24, 32)
NAMES = ("road", "tree", "car", "sky")
PALETTE = ((90, 90, 90), (0, 200, 0), (0, 0, 255), (200, 230, 255))
VOID = (4, 255)
ABSENT = "none of its 8 labels has a pixel of"


def scene(seed: int) -> Array:
    """Return a map of 12 cells of the classes 0 to 3, with void, 255, where cells meet."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    rows, columns = rng.uniform(0, SIZE[0], 12), rng.uniform(0, SIZE[1], 12)
    nearest = np.hypot(y[..., None] - rows, x[..., None] - columns).argmin(-1)
    classes = (nearest % 4).astype(np.uint8)
    meets = np.zeros(SIZE, dtype=bool)
    meets[:-1] |= nearest[:-1] != nearest[1:]
    meets[:, :-1] |= nearest[:, :-1] != nearest[:, 1:]
    return np.where(meets, 255, classes).astype(np.uint8)


def warnings(
    root: Path,
    change: Callable[[Array], Array],
    palettes: Sequence[Sequence[tuple[int, int, int]]] = (),
    size: tuple[int, int] = SIZE,
    count: int = 8,
) -> tuple[str, ...]:
    """Return what is said of `count` scenes to train on and as many to select by, changed."""
    splits = []
    for split in range(2):
        frames = []
        for number in range(count * split, count * split + count):
            image, label = Path(f"image{number}.png"), Path(f"label{number}.png")
            Image.new("RGB", SIZE[::-1]).save(root / image)
            picture = Image.fromarray(change(scene(number)).astype(np.uint8))
            if palettes:
                colours = palettes[number % len(palettes)]
                picture.putpalette([value for colour in colours for value in colour])
            picture.save(root / label)
            frames.append(Frame(name=str(number), image=image, label=label))
        splits.append(FrameReader(root=root, size=size, num_classes=4, void=VOID).read(frames))
    return Dataset(
        train=splits[0],
        selection=splits[1],
        read_report=lambda: splits[1],
        class_names=NAMES,
        palette=PALETTE,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        fingerprint="",
    ).warnings


def renumbered(*numbers: int) -> Callable[[Array], Array]:
    """Return a change of the values 0, 1, 2, 3 and void to other numbers."""
    table = np.zeros(256, dtype=np.uint8)
    table[[0, 1, 2, 3, 255]] = numbers
    return lambda labels: table[labels]


def speckled(share: float) -> Callable[[Array], Array]:
    """Return a change of all 0 to 1, but for a share of the pixels."""

    def change(labels: Array) -> Array:
        changed = np.where(labels == 0, 1, labels)
        changed.flat[: round(share * changed.size)] = 0
        return changed

    return change


UNSUSPICIOUS: dict[str, Callable[[Array], Array]] = {
    "classes and void": renumbered(0, 1, 2, 3, 255),
    "classes and the void that follows them": renumbered(0, 1, 2, 3, 4),
    "classes alone": renumbered(0, 1, 2, 3, 0),
    "a thin class 0 beside void": lambda labels: np.where(
        np.arange(SIZE[1]) < 3, 255, renumbered(1, 1, 2, 3, 0)(labels)
    ),
    "a thin class 0 that few others touch": lambda labels: np.where(
        np.arange(SIZE[1]) == 1, 0, np.where(np.arange(SIZE[1]) < 4, 1, labels % 3 + 1)
    ),
}


@pytest.mark.parametrize("kind", UNSUSPICIOUS)
def test_nothing_is_said_of_labels_that_may_be_right(kind: str, tmp_path: Path) -> None:
    assert warnings(tmp_path, UNSUSPICIOUS[kind]) == ()


def test_labels_shifted_by_one_with_void_as_0_are_told(tmp_path: Path) -> None:
    [line] = warnings(tmp_path, renumbered(1, 2, 3, 4, 0))
    assert line.startswith("labels look numbered from 1, with 0 for void")
    assert line.endswith("here classes are 0 to 3, and 0 is road")


def test_labels_that_leave_0_out_are_told(tmp_path: Path) -> None:
    *absent, line = warnings(tmp_path, speckled(0))
    assert absent == [f"{split}: {ABSENT} road (0)" for split in ("train", "selection")]
    assert line.startswith("labels look numbered from 1: value 0 has 0 % of the pixels")


def test_a_speck_of_0_in_one_label_is_no_class(tmp_path: Path) -> None:
    def change(labels: Array) -> Array:
        return speckled(0.001 if (labels == scene(0)).all() else 0)(labels)

    assert "numbered from 1: value 0 has 0.0081 % of the pixels" in warnings(tmp_path, change)[-1]


def test_a_class_0_as_rare_as_another_is_not_told(tmp_path: Path) -> None:
    def change(labels: Array) -> Array:
        changed = renumbered(1, 1, 2, 2, 255)(labels)
        if (labels == scene(0)).all():
            changed[0, :2] = (0, 3)
        return changed

    assert all("numbered from 1" not in line for line in warnings(tmp_path, change))


def test_the_pattern_of_a_few_labels_is_not_reported(tmp_path: Path) -> None:
    assert warnings(tmp_path, renumbered(1, 2, 3, 4, 0), count=2) == ()


def test_a_rare_class_0_is_not_told(tmp_path: Path) -> None:
    assert warnings(tmp_path, speckled(0.002)) == ()


def test_a_class_that_never_occurs_is_named_with_its_split(tmp_path: Path) -> None:
    lines = warnings(tmp_path, renumbered(0, 1, 1, 0, 255))
    assert lines == tuple(f"{split}: {ABSENT} car (2), sky (3)" for split in ("train", "selection"))


def test_a_class_that_shrinking_loses_is_named(tmp_path: Path) -> None:
    def change(labels: Array) -> Array:
        changed = np.where(labels == 3, 1, labels)
        changed[0, 0] = 3
        return changed

    assert warnings(tmp_path, change) == ()
    assert f"train: {ABSENT} sky (3)" in warnings(tmp_path, change, size=(6, 8))


SAME = renumbered(0, 1, 2, 3, 255)
PERMUTED = (PALETTE[0], PALETTE[2], PALETTE[1], PALETTE[3])
FOREIGN = ((1, 2, 3), (4, 5, 6), PALETTE[1], (7, 8, 9))
GREYS = tuple((value,) * 3 for value in range(256))
ALIKE = ((5, 5, 5),) * 4


@pytest.mark.parametrize("palette", [PALETTE, FOREIGN, GREYS, ALIKE])
def test_nothing_is_said_of_palettes_that_agree(
    palette: Sequence[tuple[int, int, int]], tmp_path: Path
) -> None:
    assert warnings(tmp_path, SAME, [palette]) == ()


def test_an_index_of_two_colours_is_reported(tmp_path: Path) -> None:
    lines = warnings(tmp_path, SAME, [GREYS, GREYS, (*GREYS[:3], (1, 2, 3))])
    assert [line for line in lines if "index 3 is colour (3, 3, 3) in label0.png and" in line]


def test_a_colour_of_two_indices_is_reported(tmp_path: Path) -> None:
    swapped = (GREYS[0], GREYS[2], GREYS[1], *GREYS[3:])
    lines = warnings(tmp_path, SAME, [GREYS, swapped])
    assert [line for line in lines if "palettes disagree: colour (2, 2, 2) is index" in line]


def test_the_data_sets_own_colours_at_other_indices_are_reported(tmp_path: Path) -> None:
    lines = warnings(tmp_path, renumbered(0, 1, 2, 3, 0), [PERMUTED])
    assert lines == (
        "palette labels give index 1 the colour of car, class 2; the index alone is taken for the "
        "class: tree",
    )


def test_one_colour_of_the_data_sets_own_may_be_chance(tmp_path: Path) -> None:
    lines = warnings(tmp_path, renumbered(2, 2, 2, 2, 2), [FOREIGN])
    assert all("palette" not in line for line in lines)


def test_generated_scenes_are_not_judged() -> None:
    options = {"train": 1, "selection": 1, "test": 1}
    dataset = load_dataset(Data(reader="shapes", size=(16, 16), options=options), None)
    assert dataset.warnings == ()
    assert dataset.full_note == dataset.note
