"""Every seed is a digest of what it belongs to, so that no draw depends on order or place."""

from __future__ import annotations

from dataclasses import dataclass

from sweeper.core.constants import BASELINE
from trainers.runtime.numerics import derive_seed

MOST_STAGES = 2  # of a confirmation: alpha is split equally among them


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """How many fresh seeds each configuration is trained with."""

    method: int = 10
    baseline: int = 30  # every comparison has the baseline in it: the cheapest power there is

    def of(self, name: str) -> int:
        """Return the number for a method's configurations."""
        return self.baseline if name == BASELINE else self.method


SEEDS_OF_A_SEARCH = Seeds(method=3, baseline=3)  # where there are several: they are the units then


def training_seed(sweep_seed: int, repeat: int) -> int:
    """Return the seed of every search trial of a repeat: all see the same image batches."""
    return derive_seed(sweep_seed, "training", repeat) >> 32  # 31 bits: short enough to retype


def confirmation_seeds(sweep_seed: int, stage: int, count: int) -> list[int]:
    """Return the first seeds of a confirmation stage: one list for all of its configurations."""
    return [derive_seed(sweep_seed, "confirmation", stage, i) >> 32 for i in range(count)]


def sampler_seed(sweep_seed: int, repeat: int, method: str, number: int) -> int:
    """Return the seed of the sampler that draws one trial; 32 bits, as numpy wants them."""
    return derive_seed(sweep_seed, "sampler", repeat, method, number) >> 31
