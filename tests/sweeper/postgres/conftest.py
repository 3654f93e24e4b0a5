"""An embedded server that tests may stop, beside that of all other tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.postgres.embedded import Embedded
from tests.servers import end, home_in


@pytest.fixture(scope="session")
def home(open_folder: Path) -> Iterator[Path]:
    """A home of this folder's own, so that others keep their server."""
    home = home_in(open_folder, "life")
    yield home
    end(Embedded(home))


@pytest.fixture
def server(home: Path) -> Iterator[Embedded]:
    """The server of that home, stopped before and after."""
    server = Embedded(home)
    end(server)
    yield server
    end(server)
