"""Where the real CamVid lies, and a miniature of it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.miniature import write_miniature


@pytest.fixture(scope="session")
def camvid_root() -> Path:
    if "CAMVID_ROOT" not in os.environ:
        pytest.skip("CAMVID_ROOT does not name a folder with CamVid")
    return Path(os.environ["CAMVID_ROOT"])


@pytest.fixture
def write_camvid(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of a miniature."""

    def write(folder: str = "miniature", prefix: str = "", suffix: str = ".png") -> Path:
        return write_miniature(tmp_path / folder, prefix, suffix)

    return write
