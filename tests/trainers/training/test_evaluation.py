"""mIoU from a confusion matrix, against values counted by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from trainers.training.confusions import unpack
from trainers.training.evaluation import Confusion, ImageConfusions, intersection_over_union

CPU = torch.device("cpu")


def logits_of(predictions: list[int], num_classes: int = 3) -> Tensor:
    """Return logits (1, K, 1, N) whose largest is at the prediction."""
    hot = torch.nn.functional.one_hot(torch.tensor(predictions), num_classes)
    return hot.T.float()[None, :, None]


def confusion(predictions: list[int], labels: list[int]) -> Confusion:
    counted = Confusion(3, CPU)
    counted.add(logits_of(predictions), torch.tensor(labels, dtype=torch.uint8)[None, None])
    return counted


def test_rows_are_true_classes_and_columns_predictions() -> None:
    assert confusion([0, 1, 1, 2], [0, 0, 1, 2]).matrix.tolist() == [
        [1, 1, 0],
        [0, 1, 0],
        [0, 0, 1],
    ]


def test_the_mean_is_over_the_classes_in_the_ground_truth_in_percent() -> None:
    score, class_iou = confusion([0, 1, 1, 2], [0, 0, 1, 1]).scores()
    assert class_iou == (pytest.approx(50.0), pytest.approx(100 / 3), None)
    assert score == pytest.approx((50 + 100 / 3) / 2)


def test_ignored_pixels_count_nowhere() -> None:
    assert confusion([0, 1, 2], [0, 255, 255]).matrix.sum() == 1


def test_a_perfect_prediction_has_100_percent() -> None:
    assert confusion([0, 1, 2], [0, 1, 2]).scores() == (100.0, (100.0, 100.0, 100.0))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_not_finite_give_no_number(value: float) -> None:
    counted = confusion([0], [0])
    counted.add(torch.full((1, 3, 1, 1), value), torch.zeros(1, 1, 1, dtype=torch.uint8))
    score, class_iou = counted.scores()
    assert math.isnan(score)
    assert class_iou == ()


def test_a_split_without_labels_gives_no_number() -> None:
    assert math.isnan(confusion([0], [255]).scores()[0])


def test_the_matrix_adds_up_over_batches_in_any_order() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 3, 5, 6), torch.randint(0, 3, (4, 5, 6), dtype=torch.uint8)
    whole, parts = Confusion(3, CPU), Confusion(3, CPU)
    whole.add(logits, labels)
    for index in (2, 0, 3, 1):
        parts.add(logits[index : index + 1], labels[index : index + 1])
    assert torch.equal(whole.matrix, parts.matrix)
    assert whole.scores() == parts.scores()


def test_agreement_with_counting_pixel_by_pixel() -> None:
    torch.manual_seed(1)
    true, predicted = torch.randint(0, 3, (2, 200)).tolist()
    for index, iou in enumerate(intersection_over_union(confusion(predicted, true).matrix)):
        pairs = [(t == index, p == index) for t, p in zip(true, predicted, strict=True)]
        assert iou == pytest.approx(
            100 * sum(t and p for t, p in pairs) / sum(t or p for t, p in pairs)
        )


def test_the_matrices_of_single_images_come_back_in_their_order_and_add_up_to_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, 4, 6, generator=generator)
    labels = torch.randint(0, 3, (5, 4, 6), generator=generator).to(torch.uint8)
    labels[:, 0] = 255
    whole, single = Confusion(3, CPU), ImageConfusions(3, CPU)
    for part in (slice(0, 2), slice(2, 5)):
        whole.add(logits[part], labels[part])
        single.add(logits[part], labels[part])
    matrices = unpack(single.packed())
    assert matrices.sum(0).tolist() == whole.matrix.tolist() == single.matrix.tolist()
    assert single.scores() == whole.scores()
    for place, matrix in enumerate(matrices):
        alone = Confusion(3, CPU)
        alone.add(logits[place : place + 1], labels[place : place + 1])
        assert matrix.tolist() == alone.matrix.tolist()
