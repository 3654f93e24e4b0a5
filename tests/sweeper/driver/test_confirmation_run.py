"""Real confirmations in real processes: interrupted, killed, on workers, always with one result."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from sweeper.comparison.evidence import Evidence, read_evidence
from sweeper.store.database import Store
from tests.sweeper.driving import rows
from tests.sweeper.processes import TASK, Process, finish, loaded, sweeper, wait_until
from trainers.tasks import load_task

DONE = "SELECT count(*) FROM sweeper.confirmations WHERE state = 'COMPLETE'"
CONFIRMED = """SELECT c.method, c.configuration, c.seed, c.state, c.score, r.step, r.weights_hash,
                      md5(f.content)
               FROM sweeper.confirmations c
               JOIN sweeper.rung r ON r.study_id = c.study_id AND r.number = c.number
               JOIN sweeper.confusion f ON f.study_id = c.study_id AND f.number = c.number
               ORDER BY 1, 2, 3"""
EQUAL_COST = """SELECT x.part, x.method, count(x.score), max(r.step) FROM sweeper.equal_cost x
          JOIN sweeper.rung r ON r.study_id = x.study_id AND r.number = x.number
          GROUP BY 1, 2 ORDER BY 1, 2"""
TUNED = """UPDATE sweeper.trial t SET score = 99 WHERE number = (
    SELECT max(number) FROM sweeper.trial o WHERE o.study_id = t.study_id AND state = 'COMPLETE')"""


def search(store: Store, folder: Path) -> None:
    place = ["--sweep", "s", "--task", str(TASK), "--checkpoint-dir", str(folder)]
    methods = ["--method", "baseline", "--method", "kd", "--budget", "8", "--device", "cpu"]
    finish(sweeper(store, "launch", *place, *methods))
    with store.engine.begin() as connection:
        connection.execute(text(TUNED))


def confirm(store: Store, *more: str) -> Process:
    seeds = ["--seeds", "3", "--baseline-seeds", "4", "--device", "cpu"]
    return sweeper(store, "confirm", "s", *seeds, *more)


def check_books(evidence: Evidence) -> None:
    """The score is that of the matrices summed, over the classes that the split has."""
    runs = evidence.confirmations
    keys = list(zip(runs["study_id"].tolist(), runs["number"].tolist(), strict=True))
    matrices = dict(evidence.confusions(keys))
    for run in runs.itertuples():
        total = matrices[run.study_id, run.number].sum(0)
        hits, true = np.diagonal(total), total.sum(1)
        ious = 100 * hits / np.maximum(true + total.sum(0) - hits, 1)
        assert run.score == pytest.approx(ious[true > 0].mean())
        assert len(matrices[run.study_id, run.number]) == len(evidence.stages[0].blocks)


def test_interrupted_or_killed_or_on_workers_it_comes_to_the_same(
    store: Store, other_store: Store, tmp_path: Path
) -> None:
    for each, folder in ((store, "a"), (other_store, "b")):
        search(each, tmp_path / folder)
    finish(confirm(other_store, "--cohort", "1"))
    for end, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        before = rows(store.engine, DONE)[0][0] if end is signal.SIGKILL else 0
        driver = confirm(store, "--cohort", "2")
        wait_for_more(store, driver, before)
        driver.send_signal(end)
        finish(driver, code)
    said = finish(confirm(store, "--workers", "2"))
    assert said.splitlines()[-1] == "done: sweeper compare s"
    found = rows(store.engine, CONFIRMED)
    assert found == rows(other_store.engine, CONFIRMED)
    assert len(found) == 2 * 4 + 2 * 3
    check_books(read_evidence(store.engine, "s"))
    check_axes(store)


def check_axes(store: Store) -> None:
    """The rivals are trained longer with the stage's seeds; a repetition starts no worker."""
    said = finish(confirm(store, "--equal-cost"))
    assert said.splitlines()[-1] == "done: sweeper compare s --equal-cost training"
    trained = rows(store.engine, EQUAL_COST)
    assert {(part, method): n for part, method, n, *_ in trained} == {
        (part, method): 3
        for part in ("training-1.5x", "training-2x")
        for method in ("baseline", "kd")
    } | {(part, method): n for part, method, n, *_ in trained if part == "tuning"}
    full = load_task(TASK).schedule.steps
    assert {part: steps for part, _, _, steps in trained if part != "tuning"} == {
        "training-1.5x": full * 3 // 2,
        "training-2x": full * 2,
    }
    again = ("confirm", "s", "--equal-cost", "--workers", "2", "--device", "cpu")
    assert loaded(("ray",), store.url, *again) == ""  # nothing is left for workers to do
    assert rows(store.engine, EQUAL_COST) == trained
    table = finish(sweeper(store, "compare", "s", "--equal-cost", "training", "--allow-unequal"))
    assert {line.split()[0] for line in table.splitlines()[1:3]} == {"baseline", "kd"}


def wait_for_more(store: Store, process: Process, before: int) -> None:
    wait_until(
        lambda: stage_exists(store) and bool(rows(store.engine, DONE)[0][0] > before), process
    )


def stage_exists(store: Store) -> bool:
    return bool(rows(store.engine, "SELECT count(*) FROM sweeper.sweep WHERE stage = 1")[0][0])
