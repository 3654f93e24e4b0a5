"""A sweep that has just been declared: every question has an answer, and it is empty."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from sweeper.comparison.curves import best_so_far, expected_maximum
from sweeper.comparison.flags import edges, improvements
from sweeper.comparison.importances import importances
from sweeper.comparison.rung_check import check_rungs, summarise_rungs
from sweeper.comparison.search_tables import search_costs, slices
from sweeper.comparison.shared_points import shared_differences, shared_pairs
from tests.sweeper.comparison.finished import PLAN, RUNGS, TRIALS, Finished, carry_out, noise

Ask = Callable[[Finished], pd.DataFrame]
QUESTIONS: dict[str, Ask] = {
    "curves": lambda f: best_so_far(f.trials, f.rungs, PLAN, 16),
    "expected maximum": lambda f: expected_maximum(f.trials, PLAN),
    "rungs": lambda f: check_rungs(f.trials, f.rungs, PLAN),
    "rungs, summarised": lambda f: summarise_rungs(check_rungs(f.trials, f.rungs, PLAN)),
    "shared points": lambda f: shared_pairs(f.rungs, PLAN),
    "differences": lambda f: shared_differences(shared_pairs(f.rungs, PLAN), PLAN),
    "edges": lambda f: edges(f.trials, f.studies, PLAN, 16),
    "slices": lambda f: slices(f.trials, f.studies),
    "costs": lambda f: search_costs(f.trials),
}


def _without_rows(found: Finished) -> Finished:
    return Finished(trials=found.trials.iloc[:0], rungs=found.rungs.iloc[:0], studies=found.studies)


def _without_types(found: Finished) -> Finished:
    return Finished(
        trials=pd.DataFrame(columns=TRIALS),
        rungs=pd.DataFrame(columns=RUNGS),
        studies=found.studies,
    )


EMPTIED = pytest.mark.parametrize("emptied", [_without_rows, _without_types])


@EMPTIED
@pytest.mark.parametrize("question", QUESTIONS)
def test_no_trial_gives_the_columns_without_rows(
    question: str, emptied: Callable[[Finished], Finished]
) -> None:
    ask, found = QUESTIONS[question], carry_out(noise())
    answer = ask(emptied(found))
    assert answer.empty
    assert list(answer) == list(ask(found))


@EMPTIED
def test_a_search_without_trials_has_rows_that_say_so(
    emptied: Callable[[Finished], Finished],
) -> None:
    found = emptied(carry_out(noise()))
    improved = improvements(found.trials, found.studies, PLAN, 16, {}, default_sd=0.4)
    assert improved["still_improving"].tolist() == [False, False]
    assert importances(found.trials, found.studies)["complete"].tolist() == [0] * 4
