"""What a place says of itself, and how two places differ."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from trainers.training.environment import differences, environment

HERE = environment(["torch", "no-such-package"])


def test_a_place_names_its_versions_without_build_labels() -> None:
    assert HERE.versions["torch"] == version("torch").partition("+")[0]
    assert HERE.versions["no-such-package"] == "not installed"


def test_a_marker_is_seen_where_it_is(tmp_path: Path) -> None:
    assert not environment([], tmp_path / "marker").sees_marker
    (tmp_path / "marker").touch()
    assert environment([], tmp_path / "marker").sees_marker


def test_versions_that_differ_are_named_with_both_values() -> None:
    assert differences(HERE, HERE) == []
    there = replace(HERE, versions=dict(HERE.versions) | {"torch": "0.1"})
    assert differences(there, HERE) == [f"torch 0.1 instead of {HERE.versions['torch']}"]
