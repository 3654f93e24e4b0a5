"""Settings: which source wins, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweeper.core.config import SYSTEM_HOME, load_config
from sweeper.core.errors import ConfigError


def test_nothing_given_means_nothing_but_a_home(tmp_path: Path) -> None:
    config = load_config(tmp_path, {})
    assert (config.database, config.task, config.data_root) == (None, None, None)
    assert config.home == (SYSTEM_HOME if os.geteuid() == 0 else Path.home() / ".sweeper")


def test_the_file_is_read_and_its_paths_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "sweeper.toml").write_text('task = "shapes"\ndata_root = "data"\n')
    config = load_config(tmp_path, {})
    assert (config.task, config.data_root) == ("shapes", tmp_path / "data")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "sweeper.toml").write_text('database = "postgresql://file/x"\n')
    environment = {"SWEEPER_DATABASE_URL": "postgresql://environment/x"}
    assert load_config(tmp_path, environment).database == "postgresql://environment/x"
    assert load_config(tmp_path, {}).database == "postgresql://file/x"


def test_all_faults_of_the_file_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "sweeper.toml").write_text("databse = 'x'\nsweep = 3\n")
    with pytest.raises(ConfigError, match=r"'databse'; did you mean 'database'\?.*sweep must be"):
        load_config(tmp_path, {})


@pytest.mark.parametrize("text", ["task = ", "\x00", "task = 'a'\ntask = 'b'"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweeper.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"sweeper\.toml"):
        load_config(tmp_path, {})
