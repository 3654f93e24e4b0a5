"""The hash of what a process has imported: what counts, what does not, and what differs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from trainers.contract.template import write_pair
from trainers.method_api.sources import VARIABLE
from trainers.training.imported_code import (
    code_differences,
    code_files,
    imported_code,
    without_label,
)

HERE = imported_code()


def test_the_code_and_the_data_of_both_packages_count_and_the_versions() -> None:
    named = (
        "trainers/training/optimizer.py",
        "trainers/methods/kd.py",
        "trainers/tasks/shapes.toml",
    )
    assert {*named, "search_spaces/kd.toml", "numerics", "torch"} <= HERE.parts.keys()
    assert (HERE.folder / "training" / "optimizer.py").is_file()
    assert without_label("2.14.0+cpu") == without_label("2.14.0") == "2.14.0"


def test_a_users_folder_counts_wherever_it_lies_and_nothing_else_in_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        write_pair("mine", folder)
    (folders[1] / "weights.pt").write_text("large")
    hashes = {HERE.hash}
    for folder in folders:
        monkeypatch.setenv(VARIABLE, os.path.relpath(folder))
        hashes.add(imported_code().hash)
    assert len(hashes) == 2


def test_files_of_a_folder_are_those_of_its_packages_too(tmp_path: Path) -> None:
    for name in ("m.py", "m.toml", "m.txt", "part/__init__.py", "part/x.py", "runs/y.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in code_files(tmp_path)]
    assert found == ["m.py", "m.toml", "part/__init__.py", "part/x.py"]


def test_what_differs_is_named() -> None:
    assert code_differences(HERE, HERE) == ""
    changed = dict(HERE.parts) | {"trainers/own.py": "x", "torch": "0.1"}
    del changed["search_spaces/kd.toml"]
    there = replace(HERE, parts=changed)
    assert code_differences(there, HERE) == "search_spaces/kd.toml, torch, trainers/own.py"
    everything = code_differences(replace(HERE, parts={}), HERE)
    assert everything.endswith(f" and {len(HERE.parts) - 3} more")
