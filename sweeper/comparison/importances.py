"""How much each hyperparameter decided over a search's best trials, by Optuna's PED-ANOVA."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import optuna
import pandas as pd
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from sweeper.comparison.searches import SEARCH, complete_trials, spaces_of
from sweeper.search.sampler import distributions
from sweeper.search.space import Space

FEWEST = 10  # complete trials that importances are given from
FEWEST_TOP = 5  # trials among the best: what the evaluator's authors ask for
TOP = 0.1  # share of the best where there are more


def importances(trials: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Return the importance of every hyperparameter in every search, a row each.

    Columns: method, repeat, hyperparameter, complete (trials that it is computed from) and
    importance (they sum to 1; NaN where there are too few trials, see importances_of).
    """
    complete = complete_trials(trials)
    rows = []
    for (method, repeat), space in spaces_of(studies).items():
        own = complete[(complete["method"] == method) & (complete["repeat"] == repeat)]
        pairs = zip(own["params"], own["score"], strict=True)
        inside = [(params, float(value)) for params, value in pairs if space.holds(params)]
        found = importances_of(space, [p for p, _ in inside], [value for _, value in inside])
        rows += [
            {"method": method, "repeat": repeat, "hyperparameter": name, "complete": len(inside)}
            | {"importance": found[name] if found else float("nan")}
            for name in space.published
        ]
    columns = [*SEARCH, "hyperparameter", "complete", "importance"]
    return pd.DataFrame(rows, columns=columns)


def importances_of(
    space: Space, params: Sequence[Mapping[str, float]], values: Sequence[float]
) -> dict[str, float] | None:
    """Return the importance of each hyperparameter for being among the best, from complete trials.

    PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255), relative to where the search has looked. The
    best are a tenth, at least 5. Every value must lie in its range. None with fewer than 10
    trials, or where so many tie that the best cannot be told from the rest.
    """
    count = len(values)
    top = max(math.ceil(TOP * count), FEWEST_TOP)
    if count < FEWEST or sorted(values, reverse=True)[top - 1] == min(values):
        return None
    ranges = distributions(space)
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of every study
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    study.add_trials(
        create_trial(params=dict(point), distributions=ranges, value=value)
        for point, value in zip(params, values, strict=True)
    )
    evaluator = PedAnovaImportanceEvaluator(target_quantile=top / count)
    return get_param_importances(study, evaluator=evaluator, params=list(ranges))
