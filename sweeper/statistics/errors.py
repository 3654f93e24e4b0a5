"""The one error of the statistics: values from which nothing can be concluded."""

from __future__ import annotations

from sweeper.core.errors import SweeperError


class StatisticsError(SweeperError):
    """Too few values, or values that are no numbers, were given to be compared."""
