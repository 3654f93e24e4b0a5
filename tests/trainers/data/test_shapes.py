"""Procedural scenes: repeatable, learnable, and told apart by split and seed."""

import numpy as np
import pytest
import torch

from trainers.data import IGNORE, Dataset, Split, load_dataset
from trainers.errors import DataError
from trainers.tasks.schema import Data


def shapes(**options: int) -> Dataset:
    small: dict[str, int | float | str] = {"seed": 1, "train": 6, "selection": 3, "test": 4}
    return load_dataset(Data(reader="shapes", size=(48, 64), options={**small, **options}), None)


def test_shapes_have_the_size_and_counts_of_the_task() -> None:
    dataset = shapes()
    assert [len(split) for split in (dataset.train, dataset.selection, dataset.report)] == [6, 3, 4]
    assert dataset.train.images.shape == (6, 3, 48, 64)
    assert dataset.train.images.dtype == dataset.train.labels.dtype == torch.uint8


def test_the_scenes_of_seed_1_are_the_same_everywhere() -> None:
    assert (
        shapes().fingerprint == "3d9913fcb780cc32f2a5f74e414d581a9b6ddfcb44995670478c40b61a34deba"
    )


def test_another_seed_gives_other_scenes() -> None:
    assert shapes().fingerprint != shapes(seed=2).fingerprint


def test_a_larger_split_begins_with_the_smaller_one() -> None:
    assert torch.equal(shapes(train=9).train.images[:6], shapes().train.images)


def test_no_scene_stands_in_two_splits() -> None:
    dataset = shapes()
    splits = (dataset.train, dataset.selection, dataset.report)
    scenes = {image.numpy().tobytes() for split in splits for image in split.images}
    assert len(scenes) == 13


def test_every_class_has_pixels_and_borders_are_ignored() -> None:
    labels = shapes(train=40).train.labels
    share = torch.bincount(labels.flatten(), minlength=256) / labels.numel()
    assert share[[0, 1, 2, 3, 4, 5, IGNORE]].min() > 0.02
    assert share[6:IGNORE].sum() == 0


def test_two_classes_never_touch() -> None:
    labels = shapes().train.labels.numpy().astype(int)
    left, right = labels[:, :, :-1], labels[:, :, 1:]
    differ = (left != right) & (left != IGNORE) & (right != IGNORE)
    assert differ.mean() < 0.01  # a thin border may be crossed at a corner


def coarse_colours(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """Return one of 64 colours, and the class, of every pixel that has one."""
    red, green, blue = (split.images // 64).long().unbind(1)
    labels = split.labels.long()
    return (16 * red + 4 * green + blue)[labels != IGNORE], labels[labels != IGNORE]


def test_colour_alone_does_not_give_the_class() -> None:
    dataset = shapes(train=160, selection=40)
    colours, labels = coarse_colours(dataset.train)
    likeliest = torch.bincount(colours * 6 + labels, minlength=64 * 6).view(64, 6).argmax(1)
    colours, labels = coarse_colours(dataset.selection)
    assert (likeliest[colours] == labels).float().mean() < 0.7


def test_statistics_are_those_of_the_train_part() -> None:
    dataset = shapes()
    pixels = dataset.train.images.numpy().astype(np.float64)
    np.testing.assert_allclose(dataset.mean, pixels.mean((0, 2, 3)))
    np.testing.assert_allclose(dataset.std, pixels.std((0, 2, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"trian": 5}, "did you mean 'train'"), ({"train": 0}, "integer >= 1, got 0")],
)
def test_a_wrong_option_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        shapes(**options)
