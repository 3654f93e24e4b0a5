"""Dump and restore: a round trip, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from sweeper.core.errors import DatabaseError
from sweeper.postgres.read_only import run_readonly
from sweeper.scheduler.state_machine import Assignment
from sweeper.store.database import Store, connect_engine, connect_storage, open_store
from sweeper.store.dump import dump, psql_command, restore
from sweeper.store.initialise import initialise
from tests.sweeper.driving import LEDGER, declaration_of, open_sweep, results, rows, run_sweep
from tests.sweeper.fakes import FakeTrainer
from trainers.training.segment import Control

ADD = """INSERT INTO sweeper.sweep (name, seed, protocol, protocol_hash, folder)
         VALUES (:n, 0, '{}', '', :n)"""


def fill(url: str) -> None:
    engine = connect_engine(url)
    with engine.begin() as connection:
        connection.execute(text(ADD), {"n": "kept"})
    engine.dispose()
    storage = connect_storage(url)
    storage.create_new_study([], "kept/kd")
    storage.engine.dispose()


def contents(url: str) -> tuple[object, object]:
    engine = connect_engine(url)
    ours = run_readonly(engine, "SELECT name, seed FROM sweeper.sweep", 5)[1]
    optunas = run_readonly(engine, "SELECT study_name FROM studies", 5)[1]
    engine.dispose()
    return ours, optunas


def test_a_dump_comes_back_whole(store_url: str, empty_url: str, tmp_path: Path) -> None:
    fill(store_url)
    dump(store_url, tmp_path / "all.dump")
    assert restore(empty_url, tmp_path / "all.dump") == []
    assert contents(empty_url) == contents(store_url) == ([("kept", 0)], [("kept/kd",)])
    assert initialise(empty_url) == []


def test_a_copy_and_its_original_go_on_with_one_folder_for_checkpoints(
    store: Store, empty_url: str, tmp_path: Path
) -> None:
    sweep = open_sweep(store, tmp_path, declaration_of(8), cohort=8)
    assignment = sweep.next_segment()
    assert isinstance(assignment, Assignment)
    sweep.record(assignment, FakeTrainer(cut=lambda _: 10).run(assignment.segment, Control()))
    sweep.lease.release(store.engine)
    dump(store.url, tmp_path / "all.dump")
    restore(empty_url, tmp_path / "all.dump")
    copy = open_store(empty_url, "test")
    assert run_sweep(open_sweep(copy, tmp_path, declaration_of(8)))
    assert run_sweep(open_sweep(store, tmp_path, declaration_of(8)))
    assert results(copy.engine) == results(store.engine)
    assert rows(copy.engine, LEDGER) == rows(store.engine, LEDGER)
    for each in (store, copy):
        files = rows(each.engine, "SELECT checkpoint FROM sweeper.trial WHERE state = 'COMPLETE'")
        assert all(Path(file).is_file() for (file,) in files)
    copy.close()


def test_a_dump_comes_back_on_an_older_server_with_a_password(
    store_url: str, admin_url: str, tmp_path: Path
) -> None:
    fill(store_url)
    dump(store_url, tmp_path / "all.dump")
    restore(admin_url, tmp_path / "all.dump")
    assert contents(admin_url) == contents(store_url)
    dump(admin_url, tmp_path / "again.dump")


def test_a_database_with_tables_is_overwritten_only_on_request(
    store_url: str, tmp_path: Path
) -> None:
    dump(store_url, tmp_path / "empty.dump")
    fill(store_url)
    with pytest.raises(DatabaseError, match="--overwrite"):
        restore(store_url, tmp_path / "empty.dump")
    restore(store_url, tmp_path / "empty.dump", overwrite=True)
    assert contents(store_url) == ([], [])


def test_a_file_that_is_there_is_not_overwritten(store_url: str, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    with pytest.raises(DatabaseError, match="exists already"):
        dump(store_url, tmp_path / "precious")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_dump_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="pg_dump failed"):
        dump("postgresql://me@127.0.0.1:1/x", tmp_path / "all.dump")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="cannot be written"):
        dump("postgresql://me@127.0.0.1:1/x", tmp_path / "absent" / "all.dump")


@pytest.mark.parametrize("content", [None, b"no dump"])
def test_a_file_that_is_no_dump_is_refused(
    empty_url: str, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(DatabaseError, match="file"):
        restore(empty_url, tmp_path / "file")


def test_a_failed_restore_changes_nothing(store_url: str, tmp_path: Path) -> None:
    fill(store_url)
    dump(store_url, tmp_path / "all.dump")
    whole = (tmp_path / "all.dump").read_bytes()
    (tmp_path / "half.dump").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatabaseError, match="pg_restore failed"):
        restore(store_url, tmp_path / "half.dump", overwrite=True)
    assert contents(store_url) == ([("kept", 0)], [("kept/kd",)])


def test_the_terminal_gets_no_password_on_its_command_line() -> None:
    _, argv, environment = psql_command("postgresql://me:hunter2@host/x", ["-c", "SELECT 1"])
    assert "hunter2" not in " ".join(argv) and environment["PGPASSWORD"] == "hunter2"


def test_encryption_is_left_to_the_systems_own_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DatabaseError, match="postgresql-client"):
        psql_command("postgresql://me@host/x?sslmode=require", [])
