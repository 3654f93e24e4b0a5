"""Segments and their outcomes are plain data, which a driver can use without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainers.training.segment import Control, memory_bank_file


@pytest.mark.parametrize(
    "module", ["trainers.training.segment", "trainers.runtime.numerics", "trainers.tasks.identity"]
)
def test_what_a_driver_imports_needs_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_memory_bank_lies_beside_its_checkpoint() -> None:
    assert memory_bank_file(Path("runs/kd.step0000004.pt")) == Path("runs/kd.step0000004.memory")


def test_without_a_driver_nothing_is_reported_and_nothing_stops() -> None:
    control = Control()
    control.on_progress(1)
    control.on_heartbeat()
    assert not control.should_stop()
