"""Which ready trials train together: the study with the fewest steps begun first, never by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweeper.store.log import OpenTrial, Study


def choose_cohort(
    ready: Sequence[OpenTrial],
    *,
    studies: Mapping[int, Study],
    stops: Sequence[int],
    size: int,
) -> list[OpenTrial]:
    """Return at most `size` trials that share their seed, start and stop.

    Members of different methods may share a cohort; a member's result does not depend on it.
    """
    begun = {study.id: study.begun_steps for study in studies.values()}
    left = list(ready)
    cohort: list[OpenTrial] = []
    while left and len(cohort) < size:
        trial = min(left, key=lambda t: (begun[t.study_id], t.study_id, t.number))
        if not cohort:
            left = [t for t in left if _key(t, studies) == _key(trial, studies)]
        left.remove(trial)
        cohort.append(trial)
        begun[trial.study_id] += stops[trial.rung] - trial.step
    return cohort


def _key(trial: OpenTrial, studies: Mapping[int, Study]) -> tuple[int | str, int, int]:
    """Without a seed of its own a trial has its repeat's."""
    seed = f"repeat {studies[trial.study_id].repeat}" if trial.seed is None else trial.seed
    return seed, trial.step, trial.rung
