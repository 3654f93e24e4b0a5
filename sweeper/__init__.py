"""Fair hyperparameter sweeps for knowledge distillation in semantic segmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.core.constants import VERSION as __version__

if TYPE_CHECKING:
    from sweeper.api import Store

__all__ = ["__version__", "connect"]


def connect(url: str | None = None) -> Store:
    """Return the store behind a database URL, by default the one that the command line uses.

    Raises ConfigError for a URL that cannot be used, DatabaseError where no database answers.
    """
    from sweeper.api import open_store  # loads sqlalchemy

    return open_store(url)
