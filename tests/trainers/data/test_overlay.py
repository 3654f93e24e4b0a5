"""Overlays: the class's colour over the image, and the image alone where nothing is known."""

import numpy as np

from trainers.data import IGNORE
from trainers.data.overlay import MARGIN, overlay, side_by_side

PALETTE = ((0, 0, 0), (200, 100, 0))
IMAGE = np.full((3, 2, 2), 100, dtype=np.uint8)


def test_the_colour_is_mixed_by_alpha() -> None:
    labels = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    picture = overlay(IMAGE, labels, PALETTE, alpha=0.5)
    assert picture.dtype == np.uint8
    assert picture[0].tolist() == [[50, 50, 50], [150, 100, 50]]


def test_ignored_pixels_show_the_image() -> None:
    labels = np.full((2, 2), IGNORE, dtype=np.uint8)
    assert (overlay(IMAGE, labels, PALETTE) == 100).all()


def test_image_truth_and_prediction_stand_side_by_side() -> None:
    truth, prediction = np.ones((2, 2), dtype=np.uint8), np.zeros((2, 2), dtype=np.uint8)
    picture = side_by_side(IMAGE, truth, prediction, PALETTE, alpha=1.0)
    assert picture.shape == (2, 6 + 2 * MARGIN, 3)
    assert picture[0, :: 2 + MARGIN].tolist() == [[100] * 3, [200, 100, 0], [0, 0, 0]]
