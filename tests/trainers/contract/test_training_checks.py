"""Every registered method and combination keeps the contract; the contract notices who does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trainers.contract.training_checks import TRAINING_CHECKS, TinyTraining
from trainers.method_api.registry import all_names
from trainers.training.cohort import Trainer


@pytest.mark.parametrize("check", TRAINING_CHECKS)
@pytest.mark.parametrize("name", all_names())
def test_a_method_trains_the_same_whatever_its_cohort_and_its_interruptions(
    name: str, check: Callable[[TinyTraining], str], trainer: Trainer, tmp_path: Path
) -> None:
    assert check(TinyTraining(name=name, folder=tmp_path, trainer=trainer))
