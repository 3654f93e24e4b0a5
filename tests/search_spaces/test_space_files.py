"""The search spaces are found by their names."""

from __future__ import annotations

import tomllib

import pytest

from search_spaces import shared_file, space_file, space_names
from trainers.tasks import Schedule


@pytest.mark.parametrize("name", space_names())
def test_every_space_is_a_file_of_toml(name: str) -> None:
    assert tomllib.loads(space_file(name).read_text())["paper"]


def test_the_shared_dimensions_are_no_method() -> None:
    assert "shared" not in space_names()
    assert tomllib.loads(shared_file().read_text()).keys() <= Schedule.model_fields.keys()


@pytest.mark.parametrize("name", ["shared", "nothing", "../search_spaces/kd"])
def test_what_is_no_method_has_no_file(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=name):
        space_file(name)
