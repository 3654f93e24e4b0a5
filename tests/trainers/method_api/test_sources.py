"""Where methods are found, and folders that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers.errors import MethodError
from trainers.method_api.registry import method_names
from trainers.method_api.sources import VARIABLE


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"lonely.toml": ""}, "has no lonely.py beside it"),
        ({"kd.toml": "", "kd.py": ""}, "method 'kd' is in"),
    ],
)
def test_a_folder_that_makes_no_sense_is_refused(
    files: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(MethodError, match=said):
        method_names()


def test_a_path_that_is_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere/at/all")
    with pytest.raises(MethodError, match="method path /nowhere/at/all is no folder"):
        method_names()
