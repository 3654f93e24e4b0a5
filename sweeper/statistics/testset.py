"""How much a difference hangs on the images that happened to be in the test set.

Pixels of one scene go together, so whole blocks of images are drawn (20 seconds of a drive, a city,
an image), crossed with a draw of the seeds on either side. Percentile intervals; they are a little
too narrow where blocks or seeds are few, which is why they decide no verdict.

Letters: S seeds, I images, B blocks, R resamples, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeper.statistics.errors import StatisticsError
from sweeper.statistics.shrinkage import Floats

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class BlockCounts:
    """Pixels by block and class: all that a mean IoU needs of confusion matrices."""

    hits: Floats  # (S, B, K) of the class, and predicted as such
    unions: Floats  # (S, B, K) of the class or predicted as such
    truths: Floats  # (B, K) of the class


@dataclass(frozen=True, kw_only=True)
class ResampledDifference:
    """The difference of mean IoU (treatment - control, percent) over resampled test sets."""

    difference: float  # as observed: all blocks, all seeds
    low: float
    high: float
    sign_failures: float  # share of resamples in which the difference has another sign, or none
    num_blocks: int


def count_blocks(runs: Iterable[NDArray[np.int64]], blocks: Sequence[str]) -> BlockCounts:
    """Return the counts of all runs, one a seed, by block of images.

    A run is its confusion matrices (I, K, K), row = true class; an array (S, I, K, K) will do, or a
    generator where all would fill the memory. `blocks` names the block of every image.
    Raises StatisticsError for no run, or matrices that do not fit the blocks.
    """
    places, members = np.unique(np.asarray(blocks), return_inverse=True)
    member_BI = (np.arange(len(places))[:, None] == members).astype(np.float64)
    parts = [_count(run, member_BI) for run in runs]
    if not parts:
        raise StatisticsError("0 runs were given; at least one is needed: confirm it with seeds")
    hits, unions, truths = zip(*parts, strict=True)
    return BlockCounts(hits=np.stack(hits), unions=np.stack(unions), truths=truths[0])


def resample_test_set(
    control: BlockCounts, treatment: BlockCounts, *, seed: int, resamples: int = RESAMPLES
) -> ResampledDifference:
    """Return the 95 % interval of the difference over resampled blocks and seeds.

    Control and treatment get the same blocks, and seeds of their own. The classes counted are those
    in the ground truth of the whole split; one that is in no drawn block counts 0 on both sides.
    The same `seed` gives the same interval. Raises StatisticsError where the sides do not come from
    one test set.
    """
    if not np.array_equal(control.truths, treatment.truths):
        raise StatisticsError(
            f"control and treatment differ in ground truth (blocks x classes {control.truths.shape}"
            f" and {treatment.truths.shape}); both must come from one test set"
        )
    random = np.random.default_rng(seed)
    num_blocks = len(control.truths)
    everything, drawn_RB = np.ones((1, num_blocks)), _draw(random, num_blocks, resamples)
    observed = float(_mious(treatment, everything).mean() - _mious(control, everything).mean())
    resampled_R = _resample(treatment, drawn_RB, random) - _resample(control, drawn_RB, random)
    low, high = np.quantile(resampled_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return ResampledDifference(
        difference=observed,
        low=float(low),
        high=float(high),
        sign_failures=float(np.mean(resampled_R * np.sign(observed) <= 0)),
        num_blocks=num_blocks,
    )


def _count(confusions_IKK: NDArray[np.int64], member_BI: Floats) -> tuple[Floats, Floats, Floats]:
    num_images = member_BI.shape[1]
    if confusions_IKK.ndim != 3 or len(confusions_IKK) != num_images:
        raise StatisticsError(
            f"confusion matrices of shape {confusions_IKK.shape} were given with {num_images} block"
            " names; a run's must be (images, classes, classes), with one name an image"
        )
    hits_IK = np.diagonal(confusions_IKK, axis1=1, axis2=2)
    true_IK, predicted_IK = confusions_IKK.sum(2), confusions_IKK.sum(1)
    unions_IK = true_IK + predicted_IK - hits_IK
    return member_BI @ hits_IK, member_BI @ unions_IK, member_BI @ true_IK


def _resample(counts: BlockCounts, drawn_RB: Floats, random: np.random.Generator) -> Floats:
    """Return the mean over drawn seeds of the mean IoU over drawn blocks (R,)."""
    num_seeds = len(counts.hits)
    drawn_RS = _draw(random, num_seeds, len(drawn_RB))
    return np.asarray((_mious(counts, drawn_RB) * drawn_RS).sum(1) / num_seeds)


def _draw(random: np.random.Generator, number: int, resamples: int) -> Floats:
    """Return how often each of a number of things is drawn (R, number), with replacement."""
    return random.multinomial(number, np.full(number, 1 / number), resamples).astype(np.float64)


def _mious(counts: BlockCounts, weights_RB: Floats) -> Floats:
    """Return the mean IoU in percent (R, S) of every seed where blocks weigh so much."""
    is_counted = counts.truths.sum(0) > 0
    hits_RSK, unions_RSK = (
        np.tensordot(weights_RB, part[..., is_counted], (1, 1))
        for part in (counts.hits, counts.unions)
    )
    ious_RSK = np.divide(hits_RSK, unions_RSK, out=np.zeros_like(hits_RSK), where=unions_RSK > 0)
    return np.asarray(100 * ious_RSK.mean(2))
