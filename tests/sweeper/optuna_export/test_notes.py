"""The notes that Optuna's dashboard shows beside a study."""

from __future__ import annotations

from pathlib import Path

from optuna_dashboard import get_note
from sqlalchemy import text

from sweeper.optuna_export.notes import PIECE, write_study_note
from sweeper.optuna_export.projection import Projection
from sweeper.scheduler.removal import plan_removal, remove
from sweeper.store.database import Store
from tests.sweeper.driving import declaration_of, open_sweep, run_sweep
from tests.sweeper.optuna_export.projected import study_of, version_of

COUNT = text("SELECT count(*) FROM sweeper.picture")


def test_a_note_says_what_a_study_is_and_what_it_can_be_compared_with(
    store: Store, sweep_id: int
) -> None:
    note = get_note(study_of(store)).replace("&emsp;", "")
    baseline = store.storage.get_study_id_from_name("demo/baseline")
    for line in (
        "Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network. "
        "NIPS 2014 deep learning workshop (arXiv 1503.02531), 2015.",
        "| temperature | 0.25 to 4 | yes | 1 |",
        "Budget: 16 trials.",
        f"- [demo/baseline](/dashboard/studies/{baseline}): 16 trials",
        "- training: 80 steps of 8 images, adamw",
    ):
        assert line in note
    assert "| pixel_kl | 1 | Yang et al." in note
    assert "no evidence between methods: confirmations are" in note


def test_a_method_that_comes_later_enters_the_notes_of_the_others(
    store: Store, tmp_path: Path
) -> None:
    run_sweep(open_sweep(store, tmp_path, declaration_of(8, methods=("baseline",))))
    assert "none yet" in get_note(study_of(store, "s/baseline"))
    open_sweep(store, tmp_path, declaration_of(16, methods=("kd",)))
    assert "[s/kd](" in get_note(study_of(store, "s/baseline"))
    assert "[s/baseline](" in get_note(study_of(store, "s/kd"))


def test_a_method_that_is_removed_leaves_the_notes_and_takes_its_pictures(
    store: Store, sweep_id: int
) -> None:
    with store.engine.connect() as connection:
        removal = plan_removal(connection, "demo", "kd")
    remove(store, removal)
    assert "demo/kd" not in get_note(study_of(store, "demo/baseline"))
    with store.engine.connect() as connection:
        assert connection.scalar(COUNT) == 0


def test_a_note_is_written_only_when_it_differs(store: Store, sweep_id: int) -> None:
    Projection(store.engine, store.storage).update(sweep_id)
    assert version_of(store, "demo/kd") == 1
    study_id = store.storage.get_study_id_from_name("demo/kd")
    for body in ("long " * PIECE, "short"):
        write_study_note(store.storage, study_id, body)
        assert get_note(study_of(store)) == body
    Projection(store.engine, store.storage).update(sweep_id)
    assert (version_of(store, "demo/kd"), version_of(store, "demo/baseline")) == (4, 1)
