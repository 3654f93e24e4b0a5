"""How much a difference hangs on the images that happened to be in the test set.

Pixels of one scene go together, so whole blocks of images are drawn (20 seconds of a drive, a city,
an image), crossed with a draw of the seeds on either side. Percentile intervals; they are a little
too narrow where blocks or seeds are few, which is why they decide no verdict.

Letters: S seeds, I images, B blocks, R resamples, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property

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


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """A control over resampled blocks and seeds; the same `seed` gives the same intervals.

    All treatments that are held against it get the same blocks, and seeds of their own.
    """

    control: BlockCounts
    seed: int
    resamples: int = RESAMPLES
    _known: dict[int, tuple[Floats, Floats]] = field(default_factory=dict, init=False, repr=False)

    def difference_of(self, treatment: BlockCounts) -> ResampledDifference:
        """Return the 95 % interval of a treatment's difference over resampled blocks and seeds.

        The classes counted are those in the ground truth of the whole split; one that is in no
        drawn block counts 0 on both sides. Raises StatisticsError where the sides do not come from
        one test set.
        """
        truths = self.control.truths
        if not np.array_equal(truths, treatment.truths):
            raise StatisticsError(
                f"control and treatment differ in ground truth (blocks x classes {truths.shape}"
                f" and {treatment.truths.shape}); both must come from one test set"
            )
        observed = float(_observed(treatment).mean() - _observed(self.control).mean())
        drawn_RS, control_R = self._drawn(len(treatment.hits))
        resampled_R = _over_seeds(_mious(treatment, self._blocks[1]), drawn_RS) - control_R
        low, high = np.quantile(resampled_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return ResampledDifference(
            difference=observed,
            low=float(low),
            high=float(high),
            sign_failures=float(np.mean(resampled_R * np.sign(observed) <= 0)),
            num_blocks=len(truths),
        )

    def _drawn(self, num_seeds: int) -> tuple[Floats, Floats]:
        """Return how often seeds of a treatment are drawn (R, S), and the control's means (R,)."""
        if num_seeds not in self._known:
            random = deepcopy(self._blocks[0])  # it goes on from the same place for all of them
            drawn_RS = _draw(random, num_seeds, self.resamples)
            of_control_RS = _draw(random, len(self.control.hits), self.resamples)
            self._known[num_seeds] = drawn_RS, _over_seeds(self._control_RS, of_control_RS)
        return self._known[num_seeds]

    @cached_property
    def _blocks(self) -> tuple[np.random.Generator, Floats]:
        """The generator after its first draw, and how often that drew each block (R, B)."""
        random = np.random.default_rng(self.seed)
        drawn_RB = _draw(random, len(self.control.truths), self.resamples)
        return random, drawn_RB

    @cached_property
    def _control_RS(self) -> Floats:
        return _mious(self.control, self._blocks[1])


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


def _observed(counts: BlockCounts) -> Floats:
    """Return the mean IoU of every seed over all blocks, once each."""
    return _mious(counts, np.ones((1, len(counts.truths))))


def _over_seeds(mious_RS: Floats, drawn_RS: Floats) -> Floats:
    """Return the mean over drawn seeds (R,)."""
    return np.asarray((mious_RS * drawn_RS).sum(1) / mious_RS.shape[1])


def _draw(random: np.random.Generator, number: int, resamples: int) -> Floats:
    """Return how often each of a number of things is drawn (R, number), with replacement."""
    return random.multinomial(number, np.full(number, 1 / number), resamples).astype(np.float64)


def _mious(counts: BlockCounts, weights_RB: Floats) -> Floats:
    """Return the mean IoU in percent (R, S) of every seed where blocks weigh so much."""
    is_counted = counts.truths.sum(0) > 0
    hits_SRK, unions_SRK = (
        weights_RB @ part[..., is_counted] for part in (counts.hits, counts.unions)
    )
    ious_SRK = np.divide(hits_SRK, unions_SRK, out=np.zeros_like(hits_SRK), where=unions_SRK > 0)
    return np.ascontiguousarray(100 * ious_SRK.mean(2).T)
