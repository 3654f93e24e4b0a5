"""Resampled test sets: counts by block, the interval, and what must change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sweeper.statistics.errors import StatisticsError
from sweeper.statistics.testset import BlockCounts, ResampledDifference, Resampling, count_blocks

NUM_IMAGES, NUM_CLASSES = 24, 4
BLOCKS = [f"drive {i // 3}" for i in range(NUM_IMAGES)]
TRUTH = np.random.default_rng(0).integers(0, 900, (NUM_IMAGES, NUM_CLASSES))
TRUTH[:, 2] = 0  # in no image
TRUTH[1:, 3] = 0  # in one


def predict(accuracy: float, seeds: int) -> NDArray[np.int64]:
    """Return confusion matrices (seeds, images, K, K) of nets that are right so often."""
    random = np.random.default_rng(int(accuracy * 1000))
    right = np.clip(random.normal(accuracy, 0.03, (seeds, NUM_IMAGES, NUM_CLASSES)), 0, 1)
    chances = right[..., None] * np.eye(NUM_CLASSES) + (1 - right[..., None]) / NUM_CLASSES
    return random.multinomial(TRUTH, chances / chances.sum(-1, keepdims=True))


CONTROL, TREATMENT = predict(0.7, 6), predict(0.75, 4)
COUNTS = count_blocks(CONTROL, BLOCKS), count_blocks(TREATMENT, BLOCKS)


def resampled(control: BlockCounts, treatment: BlockCounts, seed: int = 1) -> ResampledDifference:
    return Resampling(control=control, seed=seed).difference_of(treatment)


def mean_iou(confusions: NDArray[np.int64]) -> float:
    """Return the mean over seeds of the mean IoU of the classes 0, 1 and 3 in percent."""
    ious = []
    for matrix in confusions.sum(1):
        for k in (0, 1, 3):
            ious.append(matrix[k, k] / (matrix[k].sum() + matrix[:, k].sum() - matrix[k, k]))
    return 100 * float(np.mean(ious))


def test_blocks_hold_the_pixels_of_their_images() -> None:
    hits = CONTROL[2, 3:6].sum(0).diagonal()
    assert COUNTS[0].hits.shape == (6, 8, NUM_CLASSES)
    assert COUNTS[0].hits[2, 1].tolist() == hits.tolist()
    assert COUNTS[0].truths.sum(0).tolist() == TRUTH.sum(0).tolist()


def test_the_difference_is_that_of_the_whole_split() -> None:
    found = resampled(*COUNTS)
    assert found.difference == pytest.approx(mean_iou(TREATMENT) - mean_iou(CONTROL))
    assert found.low < found.difference < found.high
    assert found.num_blocks == 8


def test_a_seed_determines_the_interval() -> None:
    first, again, other = (resampled(*COUNTS, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.low != other.low
    assert first.low == pytest.approx(other.low, abs=0.5)


def test_the_order_of_images_changes_nothing() -> None:
    order = np.random.default_rng(3).permutation(NUM_IMAGES)
    names = [BLOCKS[i] for i in order]
    turned = (count_blocks(side[:, order], names) for side in (CONTROL, TREATMENT))
    assert resampled(*turned) == resampled(*COUNTS)


def test_runs_may_come_one_by_one() -> None:
    counts = count_blocks((run for run in CONTROL), BLOCKS)
    assert np.array_equal(counts.unions, COUNTS[0].unions)


def test_a_run_against_itself_has_no_sign() -> None:
    one = count_blocks(CONTROL[:1], BLOCKS)
    found = resampled(one, one)
    assert (found.difference, found.low, found.high, found.sign_failures) == (0, 0, 0, 1)


def test_a_treatment_does_not_hang_on_those_before_it() -> None:
    control, treatment = COUNTS
    resampling = Resampling(control=control, seed=1)
    resampling.difference_of(count_blocks(TREATMENT[:2], BLOCKS))
    assert resampling.difference_of(treatment) == resampled(control, treatment)


def test_swapping_the_sides_swaps_the_sign() -> None:
    there, back = resampled(*COUNTS), resampled(*COUNTS[::-1])
    assert back.difference == pytest.approx(-there.difference)
    assert back.high == pytest.approx(-there.low, abs=0.5)


def blocks_of(gains: NDArray[np.float64]) -> BlockCounts:
    """Return one seed's counts, of a single class, in blocks of 100 pixels."""
    hits = (50 + gains)[None, :, None]
    return BlockCounts(
        hits=hits, unions=np.full_like(hits, 100), truths=np.full(hits.shape[1:], 90)
    )


def test_intervals_hold_the_mean_over_all_scenes() -> None:
    random, num_blocks, draws = np.random.default_rng(0), 25, 300
    base = blocks_of(np.zeros(num_blocks))
    held = []
    for i in range(draws):
        gained = blocks_of(random.normal(0.5, 1.0, num_blocks))
        found = Resampling(control=base, seed=i, resamples=300).difference_of(gained)
        held.append(found.low <= 0.5 <= found.high)
    assert 0.89 <= np.mean(held) <= 0.97  # percentiles of 25 blocks: about 93 percent


@pytest.mark.parametrize(("gain", "fails"), [(3.0, (0.0, 0.0)), (0.0, (0.05, 0.95))])
def test_signs_fail_where_scenes_disagree(gain: float, fails: tuple[float, float]) -> None:
    gained = blocks_of(np.random.default_rng(0).normal(gain, 1.0, 25))
    found = resampled(blocks_of(np.zeros(25)), gained, seed=0)
    assert fails[0] <= found.sign_failures <= fails[1]


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (CONTROL[:, :5], r"shape \(5, 4, 4\) were given with 24 block names"),
        (CONTROL[0], r"shape \(4, 4\) were given"),
        ([], "0 runs were given"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(runs: NDArray[np.int64], words: str) -> None:
    with pytest.raises(StatisticsError, match=words):
        count_blocks(runs, BLOCKS)


def test_sides_of_different_test_sets_are_refused() -> None:
    other = count_blocks(CONTROL[:, ::-1], BLOCKS)
    with pytest.raises(StatisticsError, match="must come from one test set"):
        resampled(COUNTS[0], other)
