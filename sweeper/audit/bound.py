"""Whether every value is bound to its evidence: rungs, confusion matrices, segments, the log.

Statements that look for what does not fit return rows of sweep, method, repeat, number, fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from sweeper.audit.compared import counted, of_runs, rows_of, unconfirmed
from sweeper.audit.finding import Look
from sweeper.comparison.evidence import Evidence
from sweeper.names import trial_name
from sweeper.store.seals import broken_seals
from trainers.confusions import unpack
from trainers.errors import DataError

Matrices = NDArray[np.int64]
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
{_NAMED} 'its value is not that of its last rung' AS fault {_FAMILY}
LEFT JOIN LATERAL (
    SELECT value, step FROM sweeper.rung
    WHERE study_id = t.study_id AND number = t.number ORDER BY index DESC LIMIT 1) r ON true
{_WHERE} AND t.state IN ('COMPLETE', 'PRUNED') AND NOT t.diverged
  AND (t.value IS DISTINCT FROM r.value OR t.step IS DISTINCT FROM r.step)
UNION ALL
{_NAMED} 'it diverged and has a value' {_FAMILY} {_WHERE} AND t.diverged AND t.value IS NOT NULL
UNION ALL
{_NAMED} 'its mIoU at step ' || r.step || ' is not the mean of its class IoUs' {_FAMILY} {_RUNG}
LEFT JOIN LATERAL (
    SELECT avg((c #>> '{{}}')::float8) AS mean FROM jsonb_array_elements(
        CASE jsonb_typeof(r.class_iou) WHEN 'array' THEN r.class_iou ELSE '[]' END) c
    WHERE jsonb_typeof(c) = 'number') m ON true
{_WHERE} AND (m.mean IS NULL OR abs(m.mean - r.value) > {SAME})
"""

# What counts of a trial's segments: it was kept, by a trial that was not halted or cancelled.
_KEPT = "('reached', 'diverged', 'failed')"
_STATE = """CASE WHEN t.diverged THEN 'diverged' WHEN t.state = 'FAIL' THEN 'failed'
            ELSE 'reached' END"""
_SLACK = "interval '1 minute'"  # that a server's clock may be set back by
_GOING = "t.state <> 'RUNNING' AND NOT (t.state = 'FAIL' AND y.state IN ('halted', 'cancelled'))"
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
    SELECT study_id, number, max(id) FILTER (WHERE start_step = 0) AS id
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
LEFT JOIN LATERAL (
    SELECT min(started_at) AS first, max(ended_at) AS last FROM part a
    WHERE a.study_id = t.study_id AND a.number = t.number) a ON true
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
SELECT split_part(s.name, ':', 1) AS name, count(*) AS readings, min(c.recorded_at) AS first
FROM sweeper.confusion c
JOIN sweeper.study y ON y.id = c.study_id
JOIN sweeper.sweep s ON s.id = y.sweep_id
LEFT JOIN sweeper.sweep p ON p.id = s.confirms
WHERE s.protocol ->> 'data_fingerprint' = :fingerprint
  AND NOT :sweep IN (s.id, coalesce(s.confirms, 0), coalesce(p.confirms, 0))
GROUP BY 1 ORDER BY 1
"""


def look_at_values(evidence: Evidence) -> Look:
    """A value is that of its last rung, of its class IoUs, of its stored confusion matrices."""
    faults = [*_faults(evidence, VALUES), *_confusion_faults(evidence)]
    complete = int((evidence.confirmations["state"] == "COMPLETE").sum())
    seen = f"{counted(len(evidence.rungs), 'evaluation')} from their classes, "
    seen += f"{counted(complete, 'confirmation')} from their confusion matrices"
    awaits = unconfirmed(evidence) if evidence.stages else ""
    if evidence.rungs.empty:
        awaits = "no trial has come to a rung yet"
    return Look(seen=seen, faults=faults, awaits=awaits)


def look_at_segments(evidence: Evidence) -> Look:
    """Every trial is what its segments made of it, in the order of time."""
    faults = _faults(evidence, SEGMENTS)
    trials = len(evidence.trials) + len(evidence.confirmations)
    return Look(
        seen=f"{counted(trials, 'trial')} in {counted(len(evidence.parts), 'part')} of segments",
        faults=faults,
        awaits="" if len(evidence.parts) else "nothing is trained yet",
    )


def look_at_terms(evidence: Evidence) -> Look:
    """The terms of search and confirmation are those of every launch, and of the declaration."""
    with evidence.engine.connect() as connection:
        rows = connection.execute(text(DECLARED), {"sweep": evidence.sweep_id}).all()
    stages = counted(len(evidence.stages), "confirmation")
    seen = f"terms of the sweep and {stages} beside {counted(len(evidence.launches), 'launch')}"
    return Look(seen=seen, faults=[f"{row.name}: {row.fault}" for row in rows])


def look_at_log(evidence: Evidence) -> Look:
    """Nothing was changed after it was recorded, by the digests that were noted with it."""
    with evidence.engine.connect() as connection:
        rows = broken_seals(connection, evidence.sweep_id)
    faults = [
        f"{row.what} {row.key} " + ("is gone" if row.is_gone else "was never recorded")
        if row.is_gone or row.is_new
        else f"{row.what} {row.key} was changed after it was recorded"
        for row in rows
    ]
    return Look(seen="digests in the log beside what they are of", faults=faults)


def look_elsewhere(evidence: Evidence) -> Look:
    """No other sweep in this database has read the same reported split."""
    values = {
        "sweep": evidence.sweep_id,
        "fingerprint": evidence.protocol["data_fingerprint"],
    }
    with evidence.engine.connect() as connection:
        rows = connection.execute(text(ELSEWHERE), values).all()
    faults = [
        f"the reported split was read {counted(row.readings, 'time')} for sweep {row.name}, "
        f"first on {row.first:%Y-%m-%d}"
        for row in rows
    ]
    return Look(seen=f"{counted(len(rows), 'other sweep')} with readings", faults=faults)


def _faults(evidence: Evidence, statement: str) -> list[str]:
    with evidence.engine.connect() as connection:
        rows = connection.execute(text(statement), {"sweep": evidence.sweep_id}).all()
    return [
        f"{trial_name(row.sweep, row.method, row.repeat, row.number)}: {row.fault}" for row in rows
    ]


def _confusion_faults(evidence: Evidence) -> Iterator[str]:
    """Yield which confirmations' values do not follow from their matrices, image by image."""
    complete = evidence.confirmations[evidence.confirmations["state"] == "COMPLETE"]
    names = zip(rows_of(complete), of_runs(complete), strict=True)
    runs = {(row["study_id"], row["number"]): (row, name) for row, name in names}
    images = {stage.number: len(stage.blocks) for stage in evidence.stages}
    truth: Matrices | None = None
    for key, content in evidence.packed_confusions(list(runs)):
        row, name = runs.pop(key)
        try:
            matrices = unpack(content).astype(np.int64)
        except DataError as error:
            yield f"{name}: {error}"
            continue
        if matrices.ndim != 3 or len(matrices) != images[row["stage"]] or (matrices < 0).any():
            yield f"{name}: its confusion matrices are not of {images[row['stage']]} images"
            continue
        fault = _score_fault(matrices, row)
        if fault:
            yield f"{name}: {fault}"
        pixels = matrices.sum(axis=2)
        truth = pixels if truth is None else truth
        if pixels.shape != truth.shape or (pixels != truth).any():
            yield f"{name}: its images have other labels than those of the other runs"
    for _, name in runs.values():
        yield f"{name}: no confusion matrices"


def _score_fault(matrices: Matrices, run: Mapping[str, Any]) -> str:
    """Return how a run's stored IoUs (percent) differ from those of its matrices, if they do."""
    total = matrices.sum(axis=0)
    hits, true = np.diagonal(total), total.sum(axis=1)
    present = true > 0
    union = (true + total.sum(axis=0) - hits)[present]
    class_iou = 100 * hits[present] / union
    if not present.any() or abs(class_iou.mean() - run["miou"]) > SAME:
        return f"{run['miou']:.4g} mIoU is not what its confusion matrices give"
    stored = run["class_iou"]
    given = [v for v in stored if v is not None] if isinstance(stored, list) else []
    if len(given) != len(class_iou) or not np.allclose(given, class_iou, rtol=0, atol=SAME):
        return "its class IoUs are not those of its confusion matrices"
    return ""
