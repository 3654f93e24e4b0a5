"""Every registered method and combination keeps the contract; the contract notices who does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trainers.cohort import Trainer
from trainers.contract.checks import CHECKS
from trainers.contract.stand import Stand
from trainers.contract.training import COURSES, Course
from trainers.methods import all_names


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", all_names())
def test_a_method_keeps_the_contract(name: str, check: Callable[[Stand], str]) -> None:
    assert check(Stand(name))


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("name", all_names())
def test_a_method_trains_the_same_whatever_its_cohort_and_its_interruptions(
    name: str, course: Callable[[Course], str], trainer: Trainer, tmp_path: Path
) -> None:
    assert course(Course(name=name, folder=tmp_path, trainer=trainer))
