"""Trials as the search sees them, and its fixed constants; no Optuna, for quick commands' sake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SOBOL_COLUMNS = 64
SOBOL_SEED = 20230903  # one constant for every sweep: shared points are the same for every method

# Pinned and stored with the protocol: Optuna's defaults move between releases.
TPE_ARGUMENTS: Mapping[str, Any] = {
    "n_startup_trials": 1,
    "n_ei_candidates": 24,
    "multivariate": True,
    "group": False,
    "constant_liar": True,
}


@dataclass(frozen=True, kw_only=True)
class PastTrial:
    """A decided trial as the sampler sees it."""

    params: Mapping[str, float]
    state: str  # COMPLETE, PRUNED or FAIL
    score: float | None
    rungs: Mapping[int, float]  # step -> mIoU
    diverged: bool = False


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """A trial that is about to enter the plan."""

    number: int
    origin: str
    params: Mapping[str, float]
