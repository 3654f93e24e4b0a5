"""Which hyperparameters a bracket tries: published, shared scrambled Sobol points, then TPE.

The only module that samples with Optuna. It works in memory, on a study rebuilt from the log, so
that a plan is a function of (seed, repeat, method, log) and of nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy.stats import qmc

from sweeper.search.brackets import BracketPlan
from sweeper.search.seeds import sampler_seed
from sweeper.search.space import Space
from sweeper.search.trials import (
    SOBOL_COLUMNS,
    SOBOL_SEED,
    TPE_ARGUMENTS,
    PastTrial,
    PlannedTrial,
)


def plan_bracket(
    space: Space, plan: BracketPlan, history: Sequence[PastTrial], *, seed: int, repeat: int
) -> list[PlannedTrial]:
    """Return the next bracket's trials; `history` holds all trials before it, all decided."""
    numbers = plan.numbers(len(history) // plan.bracket)
    if numbers.start == 0:
        return [_startup_trial(space, number, repeat) for number in numbers]
    seeds = [sampler_seed(seed, repeat, space.method, number) for number in numbers]
    return _tpe_trials(space, history, dict(zip(numbers, seeds, strict=True)))


def distributions(
    space: Space, params: Mapping[str, float] | None = None
) -> dict[str, BaseDistribution]:
    """Return the space in Optuna's terms, wide enough for the values of one trial if given."""
    given = params or {}
    return {
        d.name: FloatDistribution(
            min(d.low, given.get(d.name, d.low)), max(d.high, given.get(d.name, d.high)), log=d.log
        )
        for d in space.dimensions
    }


def _startup_trial(space: Space, number: int, repeat: int) -> PlannedTrial:
    if number == 0:
        return PlannedTrial(number=0, origin="published", params=space.published)
    row = sobol_row(number, repeat)
    return PlannedTrial(number=number, origin="sobol", params=space.point(row))


def sobol_row(number: int, repeat: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return row `number` of the scrambled Sobol sequence that all methods share; 64 columns."""
    rows = _sobol(SOBOL_SEED + repeat - 1, 1 << max(4, number.bit_length()))
    return np.asarray(rows[number])


@cache
def _sobol(seed: int, rows: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    sequence = qmc.Sobol(SOBOL_COLUMNS, scramble=True, rng=np.random.default_rng(seed))
    return np.asarray(sequence.random(rows), dtype=np.float64)


def _tpe_trials(
    space: Space, history: Sequence[PastTrial], seeds: Mapping[int, int]
) -> list[PlannedTrial]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of every study
    # The sampler given here is never asked: Optuna would otherwise make a TPESampler, whose
    # independent seed comes from the operating system. Each trial gets its own below.
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    # A published value outside its range is tried, but the sampler would not know where to put it.
    study.add_trials([_frozen(space, past) for past in history if space.holds(past.params)])
    planned = []
    for number, seed in seeds.items():
        # A sampler for each trial: its draws then depend on the number, not on earlier draws.
        study.sampler = _sampler(seed)
        trial = study.ask(distributions(space))
        planned.append(PlannedTrial(number=number, origin="tpe", params=dict(trial.params)))
    return planned


def _sampler(seed: int) -> optuna.samplers.TPESampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, **TPE_ARGUMENTS)


def _frozen(space: Space, past: PastTrial) -> FrozenTrial:
    # A PRUNED trial has no value here: TPE then ranks it by the rung it stopped at, among those
    # that stopped there too. With a value it would be ranked among the complete ones.
    return create_trial(
        state=TrialState[past.state],
        value=past.score if past.state == "COMPLETE" else None,
        params=dict(past.params),
        distributions=distributions(space),
        intermediate_values=dict(past.rungs),
        constraints={"diverged": float(past.diverged)} if past.state != "FAIL" else None,
    )
