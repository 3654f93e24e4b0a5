"""Reading sweeps from Python: what `sweeper query` and `sweeper compare` say, as data frames."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from sweeper.postgres.read_only import run_readonly
from sweeper.store import database
from sweeper.store.lookup import sweep_names
from sweeper.store.named_queries import frame_of, run_query

if TYPE_CHECKING:
    import pandas as pd

    from sweeper.comparison.comparison import Comparison

TIMEOUT_S = 60.0


class Store:
    """What all sweeps have recorded; close it, or use it in a `with` statement.

    In every frame mIoU is in percent, times are UTC, a hyperparameter stands in the column
    `params.NAME`. Without a sweep's name a frame holds all sweeps; SweeperError for an unknown
    one.
    """

    def __init__(self, opened: database.Store) -> None:
        self._opened = opened

    def sweeps(self) -> list[str]:
        """Return the names of all sweeps, oldest first."""
        with self._opened.engine.connect() as connection:
            return sweep_names(connection)

    def leaderboard(self, sweep: str | None = None) -> pd.DataFrame:
        """Return one row a search: its best trial beside its published values."""
        return run_query(self._opened.engine, "leaderboard", sweep)

    def trials(self, sweep: str | None = None) -> pd.DataFrame:
        """Return one row a trial: hyperparameters, state, score, cost."""
        return run_query(self._opened.engine, "trials", sweep)

    def curves(self, sweep: str | None = None) -> pd.DataFrame:
        """Return one row an evaluation: trial, rung, step, mIoU, IoU of each class."""
        return run_query(self._opened.engine, "curves", sweep)

    def ledger(self, sweep: str | None = None) -> pd.DataFrame:
        """Return one row a search: what it was allowed, used and lost."""
        return run_query(self._opened.engine, "ledger", sweep)

    def compare(self, sweep: str) -> Comparison:
        """Return the verdict on a sweep's methods, and every table and figure behind it."""
        from sweeper.comparison.comparison import compare_sweep  # loads pandas

        return compare_sweep(self._opened.engine, sweep)

    def sql(self, statement: str, timeout_s: float = TIMEOUT_S) -> pd.DataFrame:
        """Return the answer to one SELECT, run by a role that can change nothing.

        Raises DatabaseError with what the server refused.
        """
        return frame_of(*run_readonly(self._opened.engine, statement, timeout_s))

    def close(self) -> None:
        """End the connections."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_store(url: str | None = None) -> Store:
    """Return the store behind a URL, by default the one that the command line uses."""
    return Store(database.open_store(url, "sweeper api"))
