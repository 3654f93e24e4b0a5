"""One trainer and one teacher for all tests that train."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import train_teacher

from trainers.training.cohort import Trainer


@pytest.fixture(scope="session")
def trainer() -> Trainer:
    return Trainer()


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_teacher(tmp_path_factory.mktemp("teacher"))
