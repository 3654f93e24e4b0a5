"""Confirmations with planted effects, and how often what `compare` says of them is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweeper.statistics.contrasts import Comparisons, compare
from sweeper.statistics.shrinkage import Floats
from sweeper.statistics.verdicts import Verdict

DELTA = 0.5
NUM_TREATMENTS = 27
PLANTED = (0.0,) * 12 + (-0.3,) * 5 + (0.3,) * 4 + (0.5,) * 3 + (1.0,) * 3  # in mIoU
NOTHING = (0.0,) * NUM_TREATMENTS
SPURIOUS = {Verdict.BETTER, Verdict.WORSE}


@dataclass(frozen=True, kw_only=True)
class World:
    """27 treatments and a control: a unit is a seed, or the mean of a search's three seeds."""

    effects: tuple[float, ...] = PLANTED
    sizes: tuple[int, int] = (30, 10)  # units of the control and of each treatment
    control_sd: float | None = None  # of its units; None: drawn like the treatments'
    sds: tuple[float, float] = (0.4, 0.4)  # each treatment's own is drawn between
    correlation: float = 0.0  # of units at the same position
    search_sd: tuple[float, float] = (0.0, 0.0)  # between searches of one method
    confirmations: int = 1  # per unit

    def draw(self, random: np.random.Generator) -> tuple[Floats, dict[str, Floats]]:
        """Return the control's units and each treatment's, around 70 and 70 + effect."""
        effects = np.array([0.0, *self.effects])
        sds = random.uniform(*self.sds, len(effects)) / np.sqrt(self.confirmations)
        sds = np.hypot(sds, random.uniform(*self.search_sd, len(effects)))
        sds[0] = sds[0] if self.control_sd is None else self.control_sd
        shared = random.normal(size=self.sizes[0])
        own = random.normal(size=(len(effects), self.sizes[0]))
        noise = np.sqrt(self.correlation) * shared + np.sqrt(1 - self.correlation) * own
        rows = 70 + effects[:, None] + sds[:, None] * noise
        return rows[0], {str(i): row[: self.sizes[1]] for i, row in enumerate(rows[1:])}


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of data sets, or of contrasts where it says so."""

    covered: float  # contrasts whose thin interval holds the true effect
    all_covered: float  # data sets whose simultaneous intervals hold all true effects
    family_error: float  # data sets where a difference of 0, or of the other sign, is significant
    missed_gain: float  # data sets where an effect of delta or more is called no gain above delta
    found: dict[float, float]  # effect -> contrasts found better


def measure(world: World, data_sets: int, *, seed: int = 0) -> Rates:
    """Return the rates over that many data sets of a world."""
    random = np.random.default_rng(seed)
    effects = np.array(world.effects)
    found = [_facts(compare(*world.draw(random), delta=DELTA), effects) for _ in range(data_sets)]
    thin, thick, wrong, missed, better = np.moveaxis(np.array(found), 1, 0)
    return Rates(
        covered=float(thin.mean()),
        all_covered=float(thick.all(1).mean()),
        family_error=float(wrong.any(1).mean()),
        missed_gain=float(missed.any(1).mean()),
        found={gain: float(better[:, effects == gain].mean()) for gain in {*world.effects} - {0.0}},
    )


def _facts(found: Comparisons, effects: Floats) -> list[list[bool]]:
    pairs = list(zip(found.values(), effects.tolist(), strict=True))
    return [
        [c.low <= effect <= c.high for c, effect in pairs],
        [c.low_simultaneous <= effect <= c.high_simultaneous for c, effect in pairs],
        [c.verdict in SPURIOUS and c.difference * effect <= 0 for c, effect in pairs],
        [c.verdict == Verdict.NO_GAIN and effect >= DELTA for c, effect in pairs],
        [c.verdict == Verdict.BETTER for c, _ in pairs],
    ]
