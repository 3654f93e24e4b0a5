"""Whether every value is bound to its evidence: rungs, confusion matrices, segments, the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.audit.finding import CheckResult
from sweeper.audit.scope import counted, of_runs, rows_of, unconfirmed
from sweeper.comparison import evidence_queries
from sweeper.comparison.evidence import Evidence
from sweeper.comparison.evidence_queries import SAME
from sweeper.core.names import trial_name
from trainers.errors import DataError
from trainers.training.confusions import unpack

Matrices = NDArray[np.int64]


def check_values(evidence: Evidence) -> CheckResult:
    """A value is that of its last rung, of its class IoUs, of its stored confusion matrices."""
    faults = [*_faults(evidence, evidence_queries.VALUES), *_confusion_faults(evidence)]
    complete = int((evidence.confirmations["state"] == "COMPLETE").sum())
    seen = f"{counted(len(evidence.rungs), 'evaluation')} from their classes, "
    seen += f"{counted(complete, 'confirmation')} from their confusion matrices"
    awaits = unconfirmed(evidence) if evidence.stages else ""
    if evidence.rungs.empty:
        awaits = "no trial has come to a rung yet"
    return CheckResult(seen=seen, faults=faults, awaits=awaits)


def check_segments(evidence: Evidence) -> CheckResult:
    """Every trial is what its segments made of it, in the order of time."""
    faults = _faults(evidence, evidence_queries.SEGMENTS)
    trials = len(evidence.trials) + len(evidence.confirmations)
    return CheckResult(
        seen=f"{counted(trials, 'trial')} in {counted(len(evidence.parts), 'part')} of segments",
        faults=faults,
        awaits="" if len(evidence.parts) else "nothing is trained yet",
    )


def check_terms(evidence: Evidence) -> CheckResult:
    """The terms of search and confirmation are those of every launch, and of the declaration."""
    rows = evidence.found(evidence_queries.DECLARED)
    stages = counted(len(evidence.stages), "confirmation")
    seen = f"terms of the sweep and {stages} beside {counted(len(evidence.launches), 'launch')}"
    return CheckResult(seen=seen, faults=[f"{row.name}: {row.fault}" for row in rows])


def check_log(evidence: Evidence) -> CheckResult:
    """Nothing was changed after it was recorded, by the digests that were noted with it."""
    rows = evidence.changed
    faults = [
        f"{row.what} {row.key} " + ("is gone" if row.is_gone else "was never recorded")
        if row.is_gone or row.is_new
        else f"{row.what} {row.key} was changed after it was recorded"
        for row in rows
    ]
    return CheckResult(seen="digests in the log beside what they are of", faults=faults)


def check_elsewhere(evidence: Evidence) -> CheckResult:
    """No other sweep in this database has read the same reported split."""
    rows = evidence.found(
        evidence_queries.ELSEWHERE, fingerprint=evidence.protocol["data_fingerprint"]
    )
    listed = ", ".join(f"{r.name} {r.readings} (first {r.first:%Y-%m-%d})" for r in rows)
    total = sum(row.readings for row in rows)
    fault = f"the reported split was read {counted(total, 'time')} for other sweeps: {listed}"
    seen = "sweeps of the same data in this database"
    return CheckResult(seen=seen, faults=[fault] if rows else [])


def _faults(evidence: Evidence, statement: str) -> list[str]:
    rows = evidence.found(statement)
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
        if len(matrices) != images[row["stage"]] or (matrices < 0).any():
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
    if not present.any() or abs(class_iou.mean() - run["score"]) > SAME:
        return f"{run['score']:.4g} mIoU is not what its confusion matrices give"
    stored = run["class_iou"]
    given = [v for v in stored if v is not None] if isinstance(stored, list) else []
    if len(given) != len(class_iou) or not np.allclose(given, class_iou, rtol=0, atol=SAME):
        return "its class IoUs are not those of its confusion matrices"
    return ""
