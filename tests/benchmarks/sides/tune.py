"""The same trials by Ray Tune with its OptunaSearch, on the same PostgreSQL.

`defaults` is what its documentation shows: a function, a search algorithm, a number of samples.
`best` adds what makes it quick: actors used again, concurrency set, no log files, no output.
"""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from sweeper.search.sampler import distributions
from sweeper.search.space import Space
from sweeper.search.trials import TPE_ARGUMENTS
from tests.sweeper.fakes import quality
from trainers.training.segment import Member

METRIC = "score"
METHOD = "kd"
Result = dict[str, float | bool]


def value(params: dict[str, Any], step: int) -> float:
    """Return what our fake trainer would measure."""
    return quality(Member(key="", method=METHOD, params=params), step)


def trainable(rungs: tuple[int, ...]) -> Any:
    """Return a function that reports at every rung and trains nothing."""

    def train(config: dict[str, Any]) -> None:
        for step in rungs:
            tune.report({METRIC: value(config, step)})

    return train


def reusable(rungs: tuple[int, ...]) -> Any:
    """Return the same as a class whose actors can be used again."""

    class Noop(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.params, self.rung = config, 0

        def step(self) -> Result:
            self.rung += 1
            measured = value(self.params, rungs[self.rung - 1])
            return {METRIC: measured, "done": self.rung == len(rungs)}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.setup(new_config)
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            """There is nothing to keep."""

    return Noop


class Watch(tune.Callback):
    """Notes when the first trial had a worker and when the last one ended."""

    def __init__(self) -> None:
        self.first = self.last = 0.0

    def on_trial_start(self, **_: Any) -> None:
        self.first = self.first or time.perf_counter()

    def on_trial_complete(self, **_: Any) -> None:
        self.last = time.perf_counter()


def searcher(url: str, space: Space, seed: int) -> OptunaSearch:
    """Return Optuna's TPE with our arguments, its study in PostgreSQL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, **TPE_ARGUMENTS)
    return OptunaSearch(
        distributions(space),
        metric=METRIC,
        mode="max",
        sampler=sampler,
        study_name="peer",
        storage=optuna.storages.RDBStorage(url),
    )


def run_tune(
    url: str, space: Space, rungs: tuple[int, ...], *, trials: int, workers: int, best: bool
) -> float:
    """Run the trials; return the seconds from the first one's start to the last one's end."""
    if best:
        os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
    watch = Watch()
    quick = {"reuse_actors": True, "max_concurrent_trials": workers} if best else {}
    tuner = tune.Tuner(
        reusable(rungs) if best else trainable(rungs),
        tune_config=tune.TuneConfig(
            search_alg=searcher(url, space, seed=0), num_samples=trials, **quick
        ),
        run_config=tune.RunConfig(
            storage_path=str(Path.cwd() / "tune"),
            callbacks=[watch],
            **({"verbose": 0} if best else {}),
        ),
    )
    tuner.fit()
    ray.shutdown()
    return watch.last - watch.first
