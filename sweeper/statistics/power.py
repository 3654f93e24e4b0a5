"""How large a difference a number of seeds can show, before and after they were trained.

Power is that of the first step of Holm's procedure, the hardest to pass: a two-sided t test at
alpha / number of comparisons. Later steps have more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import nctdtr

from sweeper.statistics.p_values import critical_t, detectable_shift, welch_dofs
from sweeper.statistics.shrinkage import MIN_GROUPS

USUAL_POWER = 0.8


@dataclass(frozen=True, kw_only=True)
class Design:
    """A comparison that is still to be made: seeds and their noise for control and treatments."""

    sds: tuple[float, float]  # of control and treatment, over seeds
    sizes: tuple[int, int]  # seeds of the control and of each treatment
    num_comparisons: int = 1
    alpha: float = 0.05
    prior_dof: float = math.inf  # of the shrinkage; infinite is the best that may be hoped for

    @property
    def se(self) -> float:
        """Standard error of a difference to the control."""
        return math.hypot(*(sd / math.sqrt(n) for sd, n in zip(self.sds, self.sizes, strict=True)))

    @property
    def level(self) -> float:
        """Level of one test at the first step of Holm's procedure."""
        return self.alpha / self.num_comparisons

    @property
    def dof(self) -> float:
        """Degrees of freedom that the moderated Welch test is expected to have."""
        parts = [sd**2 / size for sd, size in zip(self.sds, self.sizes, strict=True)]
        own = self.sizes[1] - 1
        prior = self.prior_dof if self.num_comparisons >= MIN_GROUPS else 0.0
        posterior = np.array([min(own + prior, own * self.num_comparisons)])
        return float(welch_dofs((parts[0], np.array(parts[1:])), (self.sizes[0] - 1, posterior))[0])

    def power(self, difference: float) -> float:
        """Return the probability that a true difference of that size is found significant."""
        dof = np.array([self.dof])
        critical = critical_t(dof, self.level)
        shift = abs(difference) / self.se
        tails = (nctdtr(dof, sign * shift, critical) for sign in (1, -1))
        return float(sum(1 - tail[0] for tail in tails))

    def detectable(self, power: float = USUAL_POWER) -> float:
        """Return the true difference that is found significant with that probability."""
        shift = detectable_shift(np.array([self.dof]), self.level, power)
        return self.se * float(shift[0])
