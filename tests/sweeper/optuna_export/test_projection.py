"""What Optuna's tools see beside the numbers: pictures of trials, and notes after a repair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from optuna.artifacts import download_artifact, get_all_artifact_meta
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna_dashboard import get_note
from sqlalchemy import text

from sweeper.core.errors import DatabaseError
from sweeper.optuna_export.artifacts import LogArtifacts
from sweeper.optuna_export.dashboard import dashboard_app
from sweeper.optuna_export.projection import Projection
from sweeper.optuna_export.read_only_storage import connect_reader_artifacts
from sweeper.store.database import Store
from sweeper.store.dump import dump, restore
from tests.sweeper.driving import declaration_of, open_sweep, run_sweep
from tests.sweeper.fakes import PICTURE
from tests.sweeper.optuna_export.projected import study_of, version_of
from tests.sweeper.synthetic import BEST, DIVERGED, FAILED, PRUNED

COUNT = text("SELECT count(*) FROM sweeper.picture")


def files_of(store: Store, number: int) -> dict[str, str]:
    """Return file name -> artifact id of a trial of kd."""
    trial = study_of(store).trials[number]
    metas = get_all_artifact_meta(trial, storage=store.storage)
    return {meta.filename: meta.artifact_id for meta in metas}


def fetched(app: Any, path: str) -> tuple[str, str, bytes]:
    said: list[Any] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "1"}
    body = app(environ, lambda *answer: said.extend(answer))
    content = b"".join(body)
    return said[0], dict(said[1]).get("Content-Type", ""), content


@pytest.mark.parametrize("number", sorted({BEST} | DIVERGED | FAILED | PRUNED))
def test_every_decided_trial_has_a_curve_and_only_a_complete_one_a_prediction(
    store: Store, sweep_id: int, number: int
) -> None:
    files = files_of(store, number)
    assert sorted(files) == ["loss.svg", "prediction.png"][: 2 if number == BEST else 1]
    note = trial_note(store, number)
    assert [identifier in note for identifier in files.values()] == [True] * len(files)


def trial_note(store: Store, number: int) -> str:
    study = study_of(store)
    identifier = study.trials[number]._trial_id
    study_id = store.storage.get_study_id_from_name(study.study_name)
    note = store.storage.get_study_system_attrs(study_id)[f"dashboard:{identifier}:note_str:0"]
    return str(note)


def test_optunas_own_functions_read_the_pictures_as_the_reader(
    store: Store, sweep_id: int, tmp_path: Path
) -> None:
    artifacts = connect_reader_artifacts(store.url, "test")
    for name, identifier in files_of(store, BEST).items():
        file = str(tmp_path / name)
        download_artifact(artifact_store=artifacts, artifact_id=identifier, file_path=file)
    assert (tmp_path / "prediction.png").read_bytes() == PICTURE
    assert f"demo/kd#{BEST}, complete".encode() in (tmp_path / "loss.svg").read_bytes()
    artifacts.engine.dispose()


def test_the_dashboard_serves_the_pictures(store: Store, sweep_id: int) -> None:
    trial = study_of(store).trials[BEST]
    place = f"/artifacts/{store.storage.get_study_id_from_name('demo/kd')}/{trial._trial_id}"
    app = dashboard_app(store.url)
    answers = [fetched(app, f"{place}/{name}") for name in files_of(store, BEST).values()]
    assert sorted(kind for _, kind, _ in answers) == ["image/png", "image/svg+xml"]
    assert {status for status, _, _ in answers} == {"200 OK"}
    assert PICTURE in [content for _, _, content in answers]


@pytest.mark.parametrize("name", ["", "c-2", "c-2-ffff", "f-2-0", "c-ffffffffffff-1"])
def test_a_picture_that_is_not_there_is_not_found(store: Store, sweep_id: int, name: str) -> None:
    with pytest.raises(ArtifactNotFound, match="no artifact"):
        LogArtifacts(store.engine).open_reader(name)


def test_pictures_can_neither_be_written_nor_removed(
    store: Store, sweep_id: int, tmp_path: Path
) -> None:
    artifacts = LogArtifacts(store.engine)
    (tmp_path / "x").touch()
    with pytest.raises(DatabaseError, match="read only"), (tmp_path / "x").open("rb") as file:
        artifacts.write("f-2-3", file)
    with pytest.raises(DatabaseError, match="sweeper delete"):
        artifacts.remove("f-2-3")


def test_a_repair_brings_notes_and_pictures_back(store: Store, sweep_id: int) -> None:
    before = json.dumps([files_of(store, BEST), version_of(store, "demo/kd")])
    projection = Projection(store.engine, store.storage)
    projection.update(sweep_id)
    projection.repair(sweep_id)
    assert json.dumps([files_of(store, BEST), version_of(store, "demo/kd")]) == before
    link = f"(/dashboard/studies/{store.storage.get_study_id_from_name('demo/baseline')})"
    assert link in get_note(study_of(store))


def test_a_dump_holds_the_pictures(
    store: Store, sweep_id: int, empty_url: str, tmp_path: Path
) -> None:
    dump(store.url, tmp_path / "all.dump")
    restore(empty_url, tmp_path / "all.dump")
    artifacts = connect_reader_artifacts(empty_url, "test")
    assert artifacts.open_reader(files_of(store, BEST)["prediction.png"]).read() == PICTURE
    artifacts.engine.dispose()


def test_a_sweep_stores_the_pictures_of_its_complete_trials(store: Store, tmp_path: Path) -> None:
    run_sweep(open_sweep(store, tmp_path, declaration_of(16, methods=("kd",))))
    with store.engine.connect() as connection:
        stored = connection.scalar(COUNT)
        complete = text("SELECT count(*) FROM sweeper.trial WHERE state = 'COMPLETE'")
        assert stored == connection.scalar(complete) == 11
