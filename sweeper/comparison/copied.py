"""The trials and rungs of a sweep by COPY: where there are many, three times as fast as by rows."""

from __future__ import annotations

import io
import json
from contextlib import closing
from typing import Any

import pandas as pd
from sqlalchemy import Connection

TRIALS = """
SELECT t.study_id, y.method, y.repeat, t.number, t.bracket, t.origin, t.state,
       t.diverged::text AS diverged, t.value AS miou, t.step, t.params, t.trained_steps,
       t.wasted_steps, t.device_seconds, t.wasted_seconds,
       (extract(epoch FROM t.finished_at) * 1000000)::bigint AS finished_at
FROM sweeper.trial t JOIN sweeper.study y ON y.id = t.study_id
WHERE y.sweep_id = %(sweep)s
"""
# counted: which classes an evaluation counted, as a pattern; the values themselves would be most
# of what is read.
RUNGS = """
SELECT r.study_id, y.method, y.repeat, r.number, r.index AS rung, r.step, r.value AS miou,
       regexp_replace(r.class_iou::text, '[^,nul]+', '', 'g') AS counted
FROM sweeper.rung r JOIN sweeper.study y ON y.id = r.study_id
WHERE y.sweep_id = %(sweep)s
"""
ORDER = ("study_id", "number", "rung")  # of rows: faster here than on the server's disk
COPIED = {  # the types of what TRIALS and RUNGS read
    **dict.fromkeys(("method", "origin", "state", "params", "counted"), "str"),
    **dict.fromkeys(("study_id", "repeat", "number", "bracket", "rung", "step"), "int64"),
    **dict.fromkeys(("trained_steps", "wasted_steps"), "int64"),
    **dict.fromkeys(("miou", "device_seconds", "wasted_seconds"), "float64"),
    "diverged": "bool",
    "finished_at": "Int64",  # microseconds since 1970, or none
}


def copied_trials(connection: Connection, sweep_id: int) -> pd.DataFrame:
    """Return a sweep's trials, a row each, by study and number; times in UTC."""
    frame = _copied(connection, TRIALS, sweep_id)
    params = json.loads(f"[{','.join(frame['params'].tolist())}]")
    return frame.assign(
        params=pd.Series(params, index=frame.index, dtype=object),
        finished_at=pd.to_datetime(frame["finished_at"], unit="us", utc=True),
    )


def copied_rungs(connection: Connection, sweep_id: int) -> pd.DataFrame:
    """Return the evaluations of a sweep's trials, a row each, by study, number and rung."""
    return _copied(connection, RUNGS, sweep_id)


def _copied(connection: Connection, query: str, sweep_id: int) -> pd.DataFrame:
    """Return what a query finds, in ORDER."""
    content = io.BytesIO()
    with closing(connection.connection.cursor()) as opened:
        cursor: Any = opened  # the driver's own, which alone can copy
        statement = cursor.mogrify(
            f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)", {"sweep": sweep_id}
        )
        cursor.copy_expert(statement, content)
    content.seek(0)
    # pyarrow's parser, since pandas 3.0's own may miss the last digit of a number.
    frame = pd.read_csv(
        content, engine="pyarrow", dtype=COPIED, keep_default_na=False, na_values=[""]
    )
    return frame.sort_values([name for name in ORDER if name in frame], ignore_index=True)
