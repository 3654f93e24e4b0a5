"""A method of a user's own, begun from the template."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trainers.contract.sample_steps import MethodUnderTest
from trainers.contract.template import write_pair
from trainers.method_api.sources import VARIABLE

ORIGINAL = "return (student_BKhw - teacher_BKhw).square().mean() / temperature**2"


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., MethodUnderTest]:
    """Return a maker of a new method from the template, one line of its term perhaps another."""

    def make(name: str, line: str = ORIGINAL) -> MethodUnderTest:
        code, _ = write_pair(name, tmp_path)
        assert ORIGINAL in code.read_text()
        code.write_text(code.read_text().replace(ORIGINAL, line))
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        return MethodUnderTest(name)

    return make
