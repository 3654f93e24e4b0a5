"""The statements that a comparison and an audit read a sweep with, its stages and equal cost."""

from __future__ import annotations

import io
import json
from contextlib import closing
from typing import Any

import pandas as pd
from sqlalchemy import Connection

STUDIES = """
SELECT id AS study_id, method, repeat, state, reason, budget, space, space_hash, code_hash,
       calibration, needs_teacher, preparation, created_at
FROM sweeper.study WHERE sweep_id = :sweep ORDER BY id
"""
CONFIRMATIONS = """
SELECT stage, method, repeat, configuration, number, study_id, seed, state, diverged, score,
       class_iou, params, trained_steps, device_seconds, reason, finished_at
FROM sweeper.confirmations WHERE sweep = :name ORDER BY stage, study_id, number
"""
EQUAL_COST_RUNS = """
SELECT part, method, repeat, seed, state, score FROM sweeper.equal_cost WHERE sweep = :name
ORDER BY part, study_id, number
"""
TEACHER = """
SELECT a.origin, a.hash AS recipe, a.weights_hash, (a.metrics ->> 'score')::float AS score
FROM sweeper.artifact a WHERE a.kind = 'teacher' AND a.weights_hash = :hash
ORDER BY a.hash = :recipe DESC, a.hash LIMIT 1
"""
EVENTS = """
SELECT at, kind, study_id, number, detail FROM sweeper.event
WHERE sweep_id = :sweep AND kind <> 'digest' ORDER BY id
"""
UNDECIDED = """
SELECT EXISTS (SELECT FROM sweeper.trial t JOIN sweeper.study y ON y.id = t.study_id
               WHERE y.sweep_id = :sweep AND t.state = 'RUNNING')
"""
# What only an audit reads:
LAUNCHES = """
SELECT s.name AS sweep, l.at, l.who, l.command, l.provenance
FROM sweeper.launch l JOIN sweeper.sweep s ON s.id = l.sweep_id
LEFT JOIN sweeper.sweep p ON p.id = s.confirms
WHERE :sweep IN (s.id, s.confirms, p.confirms) ORDER BY l.id
"""
FROZEN = """
SELECT id AS sweep_id, name, stage, seed, protocol, protocol_hash, teacher_hash
FROM sweeper.sweep WHERE :sweep IN (id, confirms) ORDER BY stage NULLS FIRST
"""
COPIES = """
SELECT y.id AS study_id, s.stage, y.method, y.repeat, y.space_hash, y.code_hash
FROM sweeper.study y JOIN sweeper.sweep s ON s.id = y.sweep_id
WHERE s.confirms = :sweep ORDER BY y.id
"""
ALLOWANCES = """
SELECT b.study_id, b.index, b.planned_steps
FROM sweeper.bracket b JOIN sweeper.study y ON y.id = b.study_id
WHERE y.sweep_id = :sweep ORDER BY b.study_id, b.index
"""
PARTS = """
SELECT y.sweep_id, g.sweep_id AS trained_for, m.study_id, y.method, y.repeat, m.number, t.bracket,
       t.seed AS own_seed, g.seed, g.device_name, m.ending, m.reached_step
FROM sweeper.segment_member m
JOIN sweeper.segment g ON g.id = m.segment_id
JOIN sweeper.trial t ON t.study_id = m.study_id AND t.number = m.number
JOIN sweeper.study y ON y.id = m.study_id
JOIN sweeper.sweep s ON s.id = y.sweep_id
WHERE :sweep IN (s.id, s.confirms) ORDER BY m.segment_id, m.ordinal
"""
CODES = """
SELECT s.name AS sweep, coalesce(g.code_hash, '') AS code_hash, count(*) AS segments,
       EXISTS (SELECT FROM sweeper.launch l
               WHERE l.sweep_id = s.id AND l.provenance ->> 'code_hash' = g.code_hash) AS is_known
FROM sweeper.segment g JOIN sweeper.sweep s ON s.id = g.sweep_id
WHERE :sweep IN (s.id, s.confirms) AND s.equal_cost IS NULL AND g.state IN ('done', 'interrupted')
  AND (g.code_hash IS NOT NULL
       OR EXISTS (SELECT FROM sweeper.segment_member m  -- all lost: nothing of it was kept
                  WHERE m.segment_id = g.id AND m.ending <> 'lost'))
GROUP BY s.id, s.name, g.code_hash ORDER BY s.id, g.code_hash
"""
READINGS = """
SELECT y.sweep_id, c.study_id, c.number, c.recorded_at
FROM sweeper.confusion c
JOIN sweeper.study y ON y.id = c.study_id
JOIN sweeper.sweep s ON s.id = y.sweep_id
WHERE :sweep IN (s.id, s.confirms) ORDER BY c.recorded_at
"""

# What follows looks for what does not fit; rows of sweep, method, repeat, number, fault.
SAME = 1e-6  # mIoU: means are taken in another order here
_FAMILY = """
    FROM sweeper.trial t
    JOIN sweeper.study y ON y.id = t.study_id
    JOIN sweeper.sweep s ON s.id = y.sweep_id
    LEFT JOIN sweeper.sweep p ON p.id = s.confirms
"""
_WHERE = "WHERE :sweep IN (s.id, s.confirms, p.confirms)"
_NAMED = "SELECT s.name AS sweep, y.method, y.repeat, t.number,"
_RUNG = "JOIN sweeper.rung r ON r.study_id = t.study_id AND r.number = t.number"

# A class IoU is null where the split has no such pixel; anything but a list of numbers has no mean.
VALUES = f"""
{_NAMED} 'its score is not that of its last rung' AS fault {_FAMILY}
LEFT JOIN LATERAL (
    SELECT score, step FROM sweeper.rung
    WHERE study_id = t.study_id AND number = t.number ORDER BY index DESC LIMIT 1) r ON true
{_WHERE} AND t.state IN ('COMPLETE', 'PRUNED') AND NOT t.diverged
  AND (t.score IS DISTINCT FROM r.score OR t.step IS DISTINCT FROM r.step)
UNION ALL
{_NAMED} 'it diverged and has a score' {_FAMILY} {_WHERE} AND t.diverged AND t.score IS NOT NULL
UNION ALL
{_NAMED} 'its mIoU at step ' || r.step || ' is not the mean of its class IoUs' {_FAMILY} {_RUNG}
LEFT JOIN LATERAL (
    SELECT avg((c #>> '{{}}')::float8) AS mean FROM jsonb_array_elements(
        CASE jsonb_typeof(r.class_iou) WHEN 'array' THEN r.class_iou ELSE '[]' END) c
    WHERE jsonb_typeof(c) = 'number') m ON true
{_WHERE} AND (m.mean IS NULL OR abs(m.mean - r.score) > {SAME})
"""

# What counts of a trial's segments: it was kept, and its method neither failed nor was cancelled.
_KEPT = "('reached', 'diverged', 'failed')"
_STATE = """CASE WHEN t.diverged THEN 'diverged' WHEN t.state = 'FAIL' THEN 'failed'
            ELSE 'reached' END"""
_SLACK = "interval '1 minute'"  # that a server's clock may be set back by
_GOING = "t.state <> 'RUNNING' AND NOT (t.state = 'FAIL' AND y.state IN ('failed', 'cancelled'))"
SEGMENTS = f"""
WITH part AS (
    SELECT t.study_id, t.number, g.id, g.start_step, g.state, m.ending, m.reached_step, m.seconds,
           m.weights_hash, g.started_at, g.ended_at {_FAMILY}
    JOIN sweeper.segment_member m ON m.study_id = t.study_id AND m.number = t.number
    JOIN sweeper.segment g ON g.id = m.segment_id
    {_WHERE} AND m.ending IN {_KEPT}
), final AS (
    SELECT DISTINCT ON (study_id, number) * FROM part ORDER BY study_id, number, id DESC
), begun AS (
    SELECT study_id, number, max(id) FILTER (WHERE start_step = 0) AS id,
           min(started_at) AS first, max(ended_at) AS last
    FROM part GROUP BY study_id, number
), spent AS (
    SELECT p.study_id, p.number, sum(p.seconds) AS seconds FROM part p
    JOIN begun b ON b.study_id = p.study_id AND b.number = p.number AND p.id >= b.id
    GROUP BY p.study_id, p.number
)
{_NAMED} CASE
    WHEN f.id IS NULL OR b.id IS NULL THEN 'it has no segment from step 0'
    WHEN f.ending <> {_STATE} THEN 'it is ' || t.state || ', its last segment ' || f.ending
    WHEN f.reached_step <> t.step OR t.trained_steps <> t.step
        THEN 'it stands at another step than its last segment'
    WHEN abs(c.seconds - t.device_seconds) > 1e-6 * (1 + c.seconds)
        THEN 'it took other device-seconds than its segments'
    END AS fault {_FAMILY}
LEFT JOIN final f ON f.study_id = t.study_id AND f.number = t.number
LEFT JOIN begun b ON b.study_id = t.study_id AND b.number = t.number
LEFT JOIN spent c ON c.study_id = t.study_id AND c.number = t.number
{_WHERE} AND {_GOING} AND (f.id IS NULL OR b.id IS NULL OR f.ending <> {_STATE}
    OR f.reached_step <> t.step OR t.trained_steps <> t.step
    OR abs(c.seconds - t.device_seconds) > 1e-6 * (1 + c.seconds))
UNION ALL
{_NAMED} 'nothing led to step ' || a.start_step || ', where a segment began' {_FAMILY}
JOIN part a ON a.study_id = t.study_id AND a.number = t.number
{_WHERE} AND a.start_step > 0 AND NOT EXISTS (
    SELECT FROM part e WHERE e.study_id = a.study_id AND e.number = a.number AND e.id < a.id
    AND e.ending = 'reached' AND e.reached_step = a.start_step)
UNION ALL
{_NAMED} 'its weights at step ' || r.step || ' are not those of the segment' {_FAMILY} {_RUNG}
LEFT JOIN part a ON a.study_id = r.study_id AND a.number = r.number AND a.id = r.segment_id
{_WHERE} AND (a.id IS NULL OR a.ending <> 'reached' OR a.reached_step <> r.step
    OR a.weights_hash IS DISTINCT FROM r.weights_hash)
UNION ALL
{_NAMED} 'it was not planned, trained, read and decided in that order' {_FAMILY}
LEFT JOIN begun a ON a.study_id = t.study_id AND a.number = t.number
LEFT JOIN sweeper.confusion c ON c.study_id = t.study_id AND c.number = t.number
{_WHERE} AND {_GOING} AND NOT coalesce(
    s.created_at <= t.created_at + {_SLACK} AND t.created_at <= a.first + {_SLACK}
    AND a.first <= coalesce(c.recorded_at, a.first) + {_SLACK}
    AND coalesce(c.recorded_at, a.last) <= t.finished_at + {_SLACK}
    AND a.last <= t.finished_at + {_SLACK}, false)
"""
DECLARED = """
SELECT s.name, 'a launch of it went by other terms' AS fault
FROM sweeper.sweep s LEFT JOIN sweeper.sweep p ON p.id = s.confirms
JOIN sweeper.launch l ON l.sweep_id = s.id
WHERE :sweep IN (s.id, s.confirms, p.confirms)
  AND l.provenance ->> 'protocol_hash' IS DISTINCT FROM s.protocol_hash
UNION
SELECT s.name, 'it was declared on other terms' FROM sweeper.sweep s
WHERE s.confirms = :sweep AND NOT EXISTS (
    SELECT FROM sweeper.event e WHERE e.sweep_id = s.confirms AND e.kind = 'confirmed'
    AND e.detail ->> 'protocol_hash' = s.protocol_hash)
UNION
SELECT e.detail ->> 'name', 'it was declared, and is gone' FROM sweeper.event e
WHERE e.sweep_id = :sweep AND e.kind = 'confirmed' AND NOT EXISTS (
    SELECT FROM sweeper.sweep s WHERE s.confirms = :sweep AND s.name = e.detail ->> 'name')
AND NOT EXISTS (
    SELECT FROM sweeper.event d WHERE d.sweep_id = :sweep AND d.id > e.id
    AND d.kind = 'confirmation deleted' AND d.detail ->> 'name' = e.detail ->> 'name')
ORDER BY name
"""
ELSEWHERE = """
SELECT name, sum(readings)::bigint AS readings, min(first) AS first FROM (
    SELECT split_part(s.name, ':', 1) AS name, count(*) AS readings, min(c.recorded_at) AS first
    FROM sweeper.confusion c
    JOIN sweeper.study y ON y.id = c.study_id
    JOIN sweeper.sweep s ON s.id = y.sweep_id
    LEFT JOIN sweeper.sweep p ON p.id = s.confirms
    WHERE s.protocol ->> 'data_fingerprint' = :fingerprint
      AND NOT :sweep IN (s.id, coalesce(s.confirms, 0), coalesce(p.confirms, 0))
    GROUP BY 1
    UNION ALL
    SELECT s.name, (e.detail ->> 'readings')::bigint, e.at
    FROM sweeper.event e JOIN sweeper.sweep s ON s.id = e.sweep_id
    WHERE e.kind = 'confirmation deleted' AND (e.detail ->> 'readings')::bigint > 0
      AND s.protocol ->> 'data_fingerprint' = :fingerprint AND s.id <> :sweep
) AS read GROUP BY name ORDER BY name
"""


TRIALS = """
SELECT t.study_id, y.method, y.repeat, t.number, t.bracket, t.origin, t.state,
       t.diverged::text AS diverged, t.score, t.step, t.params, t.trained_steps,
       t.wasted_steps, t.device_seconds, t.wasted_seconds,
       (extract(epoch FROM t.finished_at) * 1000000)::bigint AS finished_at
FROM sweeper.trial t JOIN sweeper.study y ON y.id = t.study_id
WHERE y.sweep_id = %(sweep)s
"""
# counted: which classes an evaluation counted, as a pattern; the values themselves would be most
# of what is read.
RUNGS = """
SELECT r.study_id, y.method, y.repeat, r.number, r.index AS rung, r.step, r.score,
       regexp_replace(r.class_iou::text, '[^,nul]+', '', 'g') AS counted
FROM sweeper.rung r JOIN sweeper.study y ON y.id = r.study_id
WHERE y.sweep_id = %(sweep)s
"""
ORDER = ("study_id", "number", "rung")  # of rows: faster here than on the server's disk
COPIED = {  # the types of what TRIALS and RUNGS read
    **dict.fromkeys(("method", "origin", "state", "params", "counted"), "str"),
    **dict.fromkeys(("study_id", "repeat", "number", "bracket", "rung", "step"), "int64"),
    **dict.fromkeys(("trained_steps", "wasted_steps"), "int64"),
    **dict.fromkeys(("score", "device_seconds", "wasted_seconds"), "float64"),
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
