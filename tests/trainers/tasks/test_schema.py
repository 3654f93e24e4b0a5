"""What a task file may say: what contradicts itself is refused with what was given."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from tests.trainers.tiny_task import TASK
from trainers.tasks import Range, Search, Task


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"rungs": ["1/2", 1], "keep": [8]}, "must be equally long"),
        ({"rungs": [1, "1/2"], "keep": [8, 2]}, "rungs must rise"),
        ({"rungs": ["1/2"], "keep": [8]}, "rungs must rise"),
        ({"rungs": [0.5, 1], "keep": [8, 2]}, 'must be 1 or a fraction in quotes such as "1/3"'),
        ({"rungs": ["1/2", 1], "keep": [8, 9]}, "keep must fall from the bracket"),
        ({"rungs": ["1/2", 1], "keep": [8, 2], "anchors": 9}, "anchors <= bracket must hold"),
    ],
)
def test_a_search_that_contradicts_itself_is_refused(search: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Search.model_validate({"bracket": 8, **search})


@pytest.mark.parametrize("limits", [(1.0, 1.0, False), (2.0, 1.0, False), (0.0, 1.0, True)])
def test_a_range_has_a_low_and_a_high_end(limits: tuple[float, float, bool]) -> None:
    low, high, log = limits
    with pytest.raises(ValidationError, match="low"):
        Range(low=low, high=high, log=log)


def test_rungs_are_exact_fractions_of_the_steps() -> None:
    assert TASK.search.rungs == (Fraction(1, 3), Fraction(1))
    assert TASK.rung_steps == (2, 6)
    few = {"steps": 2, "image_batch": 3, "learning_rate": 0.02}
    with pytest.raises(ValidationError, match="too few"):
        Task.model_validate({**TASK.model_dump(), "schedule": few})


def test_a_teachers_task_trains_the_teacher_as_its_student() -> None:
    assert TASK.teacher is not None
    task = TASK.teacher_task()
    assert (task.student, task.schedule) == (TASK.teacher.net, TASK.teacher.schedule)
    assert task.teacher is None
    with pytest.raises(ValueError, match="tiny-teacher has no teacher"):
        task.teacher_task()


def test_what_only_describes_or_packs_is_no_part_of_the_identity() -> None:
    search = TASK.search.model_copy(update={"cohort": 3})
    other = TASK.model_copy(update={"description": "Another.", "search": search})
    assert other.identity() == TASK.identity()
    assert TASK.model_copy(update={"threads": 2}).identity() != TASK.identity()
