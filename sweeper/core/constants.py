"""What every part agrees on: the version, the baseline's name, how many searches a method gets."""

from __future__ import annotations

from search_spaces import BASELINE as BASELINE  # one name for every package
from sweeper.core.errors import PlanError

VERSION = "0.1.0"  # of this package; pyproject.toml says the same
PUBLISHED_LABEL = "published weights, this recipe"  # of a column: not the paper's result
USUAL_SD = 0.4  # mIoU: what seeds usually differ by, where no confirmation says it
BASELINE_SEARCHES = 3  # per repeat of the others: its searches are shared by all comparisons


def num_searches(method: str, repeats: int) -> int:
    """Return how many searches a method gets; PlanError for none."""
    if repeats < 1:
        raise PlanError(f"repeats {repeats}: at least one search is needed")
    return repeats * BASELINE_SEARCHES if method == BASELINE and repeats > 1 else repeats
