"""The named queries over the log, as data frames: what the command line and notebooks read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text

from sweeper.core.errors import SweeperError
from sweeper.store.lookup import find_sweep
from trainers.errors import near_miss

if TYPE_CHECKING:
    import pandas as pd

ORDERS: Mapping[str, str] = MappingProxyType(
    {
        "leaderboard": "sweep, score DESC NULLS LAST, method, repeat",
        "trials": "sweep, method, repeat, number",
        "curves": "sweep, method, repeat, number, rung",
        "ledger": "sweep, method, repeat",
        "confirmations": "sweep, stage, method, repeat, configuration, number",
        "equal_cost": "sweep, part, method, repeat, number",
    }
)
FORMATS = ("csv", "json", "parquet")
FIRST_PARAMETERS = ("learning_rate", "weight_decay", "multiplier")
WHOLE_NUMBERS = ("best_trial",)  # that may be absent: floats would be made of them


def run_query(
    engine: Engine, name: str, sweep: str | None = None, limit: int | None = None
) -> pd.DataFrame:
    """Return a named query's rows, of one sweep or of all, with one column per hyperparameter.

    Hyperparameters stand in columns `params.NAME`; times are UTC; mIoU is in percent. Raises
    SweeperError with the nearest name for an unknown query or sweep.
    """
    with engine.connect() as connection:
        return _frame(*select_rows(connection, name, sweep, limit))


def select_rows(
    connection: Connection, name: str, sweep: str | None = None, limit: int | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the columns and rows of a named query as the database gives them, without pandas."""
    check_query(name)
    if sweep is not None:
        find_sweep(connection, sweep)
    where = "WHERE sweep = :sweep" if sweep is not None else ""
    statement = f"SELECT * FROM sweeper.{name} {where} ORDER BY {ORDERS[name]} LIMIT :limit"
    result = connection.execute(text(statement), {"sweep": sweep, "limit": limit})
    return list(result.keys()), [tuple(row) for row in result]


def check_query(name: str) -> None:
    """Raise SweeperError with the nearest name where there is no query of that name."""
    if name not in ORDERS:
        raise SweeperError(f"no query {name!r}{near_miss(name, ORDERS)}")


def frame_of(columns: list[str], rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Return rows of any query as a data frame."""
    import pandas  # loads pandas

    return pandas.DataFrame.from_records(rows, columns=columns)


def as_csv(frame: pd.DataFrame) -> str:
    """Return the frame as CSV; numbers keep all their digits, lists are JSON."""
    text_frame = frame.apply(lambda column: column.map(_cell) if column.dtype == object else column)
    return str(text_frame.to_csv(index=False))


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value


def as_json(frame: pd.DataFrame) -> str:
    """Return the frame as a JSON list of objects; absent values are null."""
    plain = frame.astype(object).where(frame.notna(), None)
    return json.dumps(plain.to_dict(orient="records"), indent=2, default=_json_text)


def as_parquet(frame: pd.DataFrame) -> bytes:
    """Return the frame as a Parquet file; SweeperError where a column mixes types."""
    try:
        return bytes(frame.to_parquet(index=False) or b"")
    except (TypeError, ValueError) as error:  # what pyarrow's own errors derive from
        reason = " ".join(str(error).split())
        raise SweeperError(
            f"this result cannot be written as Parquet ({reason}); use --format csv or json"
        ) from error


def write_frame(frame: pd.DataFrame, file: Path, form: str) -> None:
    """Write the frame to a file; SweeperError where the file cannot be written."""
    content = as_parquet(frame) if form == "parquet" else _encoded(frame, form)
    try:
        file.write_bytes(content)
    except OSError as error:
        raise SweeperError(f"{file} cannot be written: {error.strerror}") from error


def _encoded(frame: pd.DataFrame, form: str) -> bytes:
    return (as_csv(frame) if form == "csv" else as_json(frame) + "\n").encode()


def _json_text(cell: object) -> str:
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _frame(columns: list[str], rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    import pandas  # loads pandas

    frame = frame_of(columns, rows)
    for column in frame.columns:
        if column.endswith("_at"):
            frame[column] = pandas.to_datetime(frame[column], utc=True)
    for column in frame.columns.intersection(list(WHOLE_NUMBERS)):
        frame[column] = frame[column].astype("Int64")
    return _with_parameters(frame) if "params" in frame else frame


def _with_parameters(frame: pd.DataFrame) -> pd.DataFrame:
    """Put one column per hyperparameter in the place of the column of objects."""
    import pandas  # loads pandas

    params = [cell if isinstance(cell, dict) else {} for cell in frame["params"]]
    names = sorted({name for values in params for name in values}, key=_parameter_order)
    columns = {f"params.{name}": [values.get(name) for values in params] for name in names}
    expanded = pandas.DataFrame(columns, index=frame.index)
    return pandas.concat([frame.drop(columns="params"), expanded], axis="columns")


def _parameter_order(name: str) -> tuple[int, str]:
    known = FIRST_PARAMETERS
    return (known.index(name) if name in known else len(known)), name
