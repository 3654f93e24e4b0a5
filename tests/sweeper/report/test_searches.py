"""The sections on the searches: what they show, and why they show nothing."""

from __future__ import annotations

import json

from sqlalchemy import Engine, delete, update

from sweeper.store.schema import rung, trial
from tests.sweeper.large import fill_large
from tests.sweeper.report.pages import Written
from tests.sweeper.synthetic import fill


def test_one_method_alone_is_shown_without_a_comparison(engine: Engine, written: Written) -> None:
    fill(engine, methods=("baseline",))
    page = written()
    assert "no point yet" in page.section("shared")
    assert "slices/baseline/learning_rate" in page.figures


def test_searches_that_have_only_begun_say_what_is_lacking(
    engine: Engine, written: Written
) -> None:
    fill(engine)
    with engine.begin() as connection:
        connection.execute(delete(rung).where(rung.c.number > 0))
        undecided = {"state": "RUNNING", "score": None}
        connection.execute(update(trial).where(trial.c.number > 0).values(undecided))
    page = written()
    assert "No search has finished a bracket" in page.section("curves")
    assert "anchor trials" in page.section("rungs")


def test_a_large_page_stays_small(engine: Engine, written: Written) -> None:
    fill_large(engine, ("baseline", "kd"), 1600)
    page = written("large")
    slices = [value for name, value in page.figures.items() if name.startswith("slices/kd/")]
    assert len(slices) == 4
    points = [len(trace["x"]) for trace in slices[0]["data"]]  # type: ignore[index, attr-defined]
    assert max(points) == 200
    assert sum(len(json.dumps(value)) for value in slices) < 80_000
