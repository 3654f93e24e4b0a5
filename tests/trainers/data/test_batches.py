"""Batches: a pure function of (seed, step), image and label aligned, nothing lost or invented."""

from typing import Any

import pytest
import torch
from torch import Tensor

from trainers.data import IGNORE, Split
from trainers.data.batches import IMAGENET, Batches, Normalisation, normalise
from trainers.tasks.schema import Augmentation

PLAIN = Normalisation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def coded_split(count: int = 5, size: tuple[int, int] = (24, 32)) -> Split:
    """Return images whose every pixel says its image, 8 x 8 block and column, and labels alike."""
    height, width = size
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    blocks = (rows // 8) * (width // 8) + columns // 8
    number = torch.arange(count)[:, None, None].expand(count, height, width)
    images = torch.stack(
        (number * 20, (blocks * 10).expand_as(number), columns.expand_as(number)), 1
    )
    labels = blocks.expand_as(number).contiguous()
    names = tuple(f"image {index}" for index in range(count))
    return Split(images=images.to(torch.uint8), labels=labels.to(torch.uint8), names=names)


def batches(
    split: Split | None = None, image_batch: int = 4, seed: int = 0, **augmentation: Any
) -> Batches:
    return Batches(
        split=split or coded_split(),
        augmentation=Augmentation(**({"crop": (24, 32)} | augmentation)),
        image_batch=image_batch,
        seed=seed,
        normalisation=PLAIN,
    )


def inner(labels: Tensor) -> Tensor:
    """Return where a pixel's 5 x 5 neighbours all carry its own label."""
    padded = torch.nn.functional.pad(labels.float(), (2, 2, 2, 2), value=-1.0)[:, None]
    highest = torch.nn.functional.max_pool2d(padded, 5, stride=1)
    lowest = -torch.nn.functional.max_pool2d(-padded, 5, stride=1)
    return (highest == lowest)[:, 0] & (labels != IGNORE)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    one, other = batches(), batches()
    for step in range(3):
        one.batch(step)
    for mine, theirs in zip(one.batch(7), other.batch(7), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(("seed", "step"), [(1, 7), (0, 8)])
def test_another_seed_or_step_gives_another_batch(seed: int, step: int) -> None:
    assert not torch.equal(batches().batch(7)[0], batches(seed=seed).batch(step)[0])


def test_a_batch_is_float_images_and_integer_labels_of_the_crop() -> None:
    images, labels = batches(crop=(16, 40)).batch(0)
    assert (images.dtype, images.shape) == (torch.float32, (4, 3, 16, 40))
    assert (labels.dtype, labels.shape) == (torch.int64, (4, 16, 40))


@pytest.mark.parametrize("image_batch", [1, 2, 5, 12])
def test_every_epoch_shows_each_image_once(image_batch: int) -> None:
    some = batches(image_batch=image_batch)
    order = [index for step in range(30) for index in some.order(step).tolist()]
    epochs = [order[start : start + 5] for start in range(0, 30, 5)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_image_and_label_stay_aligned() -> None:
    some = batches(crop=(20, 44))
    for step in range(20):
        images, labels = some.batch(step)
        block = images[:, 1] / 10
        inside = inner(labels)
        torch.testing.assert_close(block[inside], labels[inside].float(), atol=1e-3, rtol=0)


def test_without_augmentation_the_images_come_back() -> None:
    split = coded_split()
    some = batches(split, scale=(1.0, 1.0), flip=False)
    images, labels = some.batch(3)
    index = torch.from_numpy(some.order(3))
    torch.testing.assert_close(images, split.images[index].float(), atol=1e-2, rtol=0)
    assert torch.equal(labels, split.labels[index].long())


def test_a_flip_mirrors_about_half_of_the_images() -> None:
    some = batches(scale=(1.0, 1.0))
    columns = [some.batch(step)[0][:, 2, 0] for step in range(50)]
    flipped = torch.cat(columns).diff(dim=1).mean(1) < 0
    assert 0.4 < flipped.float().mean() < 0.6


def test_the_scale_stays_within_its_bounds_and_fills_them() -> None:
    some = batches(flip=False, crop=(8, 8))
    steps = [some.batch(step)[0][:, 2] for step in range(50)]
    scales = 1.0 / torch.cat(steps)[:, 4].diff(dim=1).median(1).values
    assert 0.5 <= scales.min() < 0.6
    assert 1.9 < scales.max() <= 2.01


def test_padding_is_ignored_and_of_the_mean_colour() -> None:
    some = Batches(
        split=coded_split(),
        augmentation=Augmentation(crop=(48, 64), scale=(0.5, 1.0)),
        image_batch=4,
        seed=0,
        normalisation=IMAGENET,
    )
    images, labels = some.batch(0)
    padded = labels == IGNORE
    assert padded.float().mean() > 0.5
    assert (images.movedim(1, -1)[padded] == 0).all()
    assert (images.movedim(1, -1)[~padded] != 0).any(-1).all()


def test_a_crop_lies_anywhere_in_a_larger_image() -> None:
    some = batches(crop=(8, 8), scale=(1.0, 1.0), flip=False)
    first = torch.cat([some.batch(step)[0][:, 2, 0, 0] for step in range(60)])
    assert first.min() < 2
    assert first.max() > 22


def test_ignored_pixels_stay_ignored() -> None:
    split = coded_split()
    split.labels[:] = IGNORE
    assert (batches(split).batch(0)[1] == IGNORE).all()


def test_normalising_takes_the_mean_off_and_divides() -> None:
    images = torch.full((1, 3, 2, 2), 130, dtype=torch.uint8)
    normalised = normalise(images, Normalisation(mean=(130.0, 120.0, 110.0), std=(1.0, 2.0, 4.0)))
    assert normalised[0, :, 0, 0].tolist() == [0.0, 5.0, 5.0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_sees_the_batches_of_the_cpu() -> None:
    held = batches()
    on_gpu = Batches(
        split=held.split,
        augmentation=held.augmentation,
        image_batch=held.image_batch,
        seed=held.seed,
        normalisation=PLAIN,
        device="cuda",
    )
    images, labels = held.batch(5)
    images_gpu, labels_gpu = on_gpu.batch(5)
    assert torch.equal(labels, labels_gpu.cpu())
    torch.testing.assert_close(images, images_gpu.cpu(), atol=1e-2, rtol=0)
