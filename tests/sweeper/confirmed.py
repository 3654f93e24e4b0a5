"""Confirmations of a synthetic sweep, and equal cost beside them, written into the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Row, func, insert, select, update

from sweeper.comparison.equal_cost import cut_searches
from sweeper.comparison.evidence import read_evidence
from sweeper.confirmation.equal_cost import declare_equal_cost
from sweeper.confirmation.stage import Confirmation, Reported, declare_stage
from sweeper.core.equal_cost import StepCosts
from sweeper.core.provenance import Launch
from sweeper.store.schema import confusion, rung, segment, segment_member, study
from sweeper.store.schema import trial as trials
from tests.sweeper.digested import add_all_digests
from tests.sweeper.recorded import PROVENANCE
from tests.sweeper.rows import member_row, rung_row, segment_row
from tests.sweeper.synthetic import inserted
from trainers.training.confusions import packed

PIXELS = 300_000_000  # of each class in every image: as many as it takes for the last digits


def confirm(
    engine: Engine,
    values: Mapping[str, Sequence[float]],
    *,
    name: str = "demo",
    published: float = -1.0,
    images: int = 6,
    **terms: Any,
) -> Row[Any]:
    """Declare a confirmation of a filled sweep and finish it; return its row.

    `values` holds the mIoU of each method's tuned configuration, one a seed; the published ones
    are `published` below them. The confusion matrices have three classes and these values.
    `terms` are those of a Confirmation.
    """
    seeds = {len(of_seed) for method, of_seed in values.items() if method != "baseline"}
    wanted = Confirmation(
        sweep=name,
        methods=None
        if terms.get("more")
        else tuple(method for method in values if method != "baseline"),
        seeds=seeds.pop(),
        baseline_seeds=len(values["baseline"]),
        **terms,
    )
    blocks = tuple(f"drive/{image // 2}" for image in range(images))
    reported = Reported(fingerprint="data", blocks=blocks, classes=("road", "car", "sky"))
    command = f"sweeper confirm {name}"
    who = Launch(who="somebody@somewhere", command=command, provenance=PROVENANCE)
    row = declare_stage(engine, wanted, reported, who)
    finish_child(engine, row, values, published, images)
    return row


def finish_child(
    engine: Engine,
    row: Row[Any],
    values: Mapping[str, Sequence[float]],
    published: float = -1.0,
    images: int = 6,
) -> None:
    """Finish a declared confirmation or part at equal cost (`row` of the table `sweep`)."""
    with engine.begin() as connection:
        for each in connection.execute(select(study).where(study.c.sweep_id == row.id)).all():
            _finish_confirmations(connection, each, values[each.method], published, images)
        add_all_digests(connection)


def declare_axes_of(engine: Engine, seconds: Mapping[str, float], name: str = "demo") -> list[Any]:
    """Declare equal cost for a confirmed sweep whose steps alone take so many seconds."""
    cuts = cut_searches(read_evidence(engine, name), seconds)
    return declare_equal_cost(engine, name, StepCosts(device="a device", seconds=seconds), cuts)


def train_axes(
    engine: Engine,
    values: Mapping[str, Sequence[float]],
    seconds: Mapping[str, float],
    gains: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Declare and finish equal cost for `demo`: `scores` with what each part adds to them."""
    for row in declare_axes_of(engine, seconds):
        gain = gains.get(row.equal_cost, 0.0)
        finish_child(engine, row, {m: [v + gain for v in each] for m, each in values.items()})


def _finish_confirmations(
    connection: Connection, owner: Row[Any], tuned: Sequence[float], published: float, images: int
) -> None:
    planned = select(trials).where(trials.c.study_id == owner.id).order_by(trials.c.number)
    segments: dict[int, int] = {}  # seed -> its segment, in the order of the seeds
    for row in connection.execute(planned).all():
        if row.seed not in segments:
            values = segment_row(owner.sweep_id, row.seed, 0, 80, folder="/x/confirmed")
            segments[row.seed] = inserted(connection, segment, values)
        identifier, place = segments[row.seed], list(segments).index(row.seed)
        wanted = tuned[place] + (published if row.origin == "published" else 0.0)
        matrices = confusions_of(wanted, images, row.seed)
        class_iou = class_iou_of(matrices)
        score = sum(class_iou) / len(class_iou)
        key = (row.study_id, row.number)
        done = {"state": "COMPLETE", "score": score, "step": 80, "trained_steps": 80}
        done |= {"device_seconds": 8.0, "finished_at": func.now()}
        where = (trials.c.study_id == row.study_id, trials.c.number == row.number)
        connection.execute(update(trials).where(*where).values(done))
        held = {"weights_hash": f"{key}"}
        evaluated = rung_row(key, identifier, class_iou, index=0, step=80, **held)
        part = member_row(key, identifier, 0, 80, **held)
        read = {"study_id": row.study_id, "number": row.number, "content": packed(matrices)}
        for table, values in ((rung, evaluated), (segment_member, part), (confusion, read)):
            connection.execute(insert(table).values(values))


def confusions_of(score: float, images: int, seed: int) -> NDArray[np.int32]:
    """Return matrices (images, 3, 3) whose mIoU is `score` percent, to 1e-6.

    Each class has as many pixels in every image. Images differ; what the last one would lack or
    have too much is spread over all.
    """
    generator = np.random.default_rng(seed)
    noise = 0.02 * generator.standard_normal(images)
    share = np.clip(score / 100 + noise - noise.mean(), 0.01, 1.0)
    hits = np.rint(PIXELS * 2 * share / (1 + share)).astype(np.int64)  # IoU = hits / (2 all - hits)
    wanted = round(PIXELS * images * 2 * score / (100 + score))
    hits += (wanted - hits.sum()) // images
    hits[0] += wanted - hits.sum()
    missed = PIXELS - hits
    eye, next_class = np.eye(3, dtype=np.int64), np.roll(np.eye(3, dtype=np.int64), 1, axis=1)
    matrices = hits[:, None, None] * eye + missed[:, None, None] * next_class
    return matrices.astype(np.int32)


def class_iou_of(matrices: NDArray[np.int32]) -> list[float]:
    """Return the IoU of each class in percent."""
    total = matrices.astype(np.int64).sum(axis=0)
    hits = np.diagonal(total)
    return [float(iou) for iou in 100 * hits / (total.sum(axis=0) + total.sum(axis=1) - hits)]
