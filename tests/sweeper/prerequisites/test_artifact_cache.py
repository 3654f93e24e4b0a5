"""What is trained once: made by one process, found again by its hash, made again where damaged."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from sqlalchemy import Engine

from sweeper.prerequisites import artifact_cache
from sweeper.prerequisites.artifact_cache import (
    Artifact,
    ArtifactCache,
    Interrupted,
    find_artifact,
    is_stored,
    store_artifact,
    stored_artifact,
)
from trainers.runtime.torch_files import write
from trainers.training.checkpoints import weights_hash

WEIGHTS = {"head.weight": torch.arange(6.0)}
HASH = "all that determines it"


class Maker:
    """Makes the artifact, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.file, self.calls = folder / "made.pt", 0

    def __call__(self) -> Artifact:
        self.calls += 1
        self.file.parent.mkdir(parents=True, exist_ok=True)
        digest = weights_hash(WEIGHTS)
        write(self.file, {"student": WEIGHTS, "weights_hash": digest})
        return Artifact(
            hash=HASH,
            kind="teacher",
            origin="trained",
            identity={"steps": 6},
            path=self.file,
            weights_hash=digest,
            metrics={"score": 55.0},
        )


def cache_in(engine: Engine, folder: Path, said: list[str] | None = None) -> ArtifactCache:
    announce = str if said is None else said.append
    return ArtifactCache(engine=engine, folder=folder, stop=threading.Event(), announce=announce)


def test_it_is_made_once_and_found_again(engine: Engine, tmp_path: Path) -> None:
    make, cache = Maker(tmp_path), cache_in(engine, tmp_path)
    assert not is_stored(engine, HASH)
    made = cache.ensure(HASH, make)
    assert cache.ensure(HASH, make) == made == find_artifact(engine, HASH)
    assert make.calls == 1
    assert is_stored(engine, HASH)


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_a_file_that_is_gone_or_damaged_is_made_again(
    engine: Engine, tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    make, cache = Maker(tmp_path), cache_in(engine, tmp_path)
    made = cache.ensure(HASH, make)
    made.path.unlink() if content is None else made.path.write_bytes(content)
    assert find_artifact(engine, HASH) is None
    assert stored_artifact(engine, HASH) == made
    assert cache.ensure(HASH, make) == made
    assert make.calls == 2
    assert ("it is made again" in caplog.text) == (content is not None)


def test_what_lies_in_another_folder_is_copied_where_the_workers_see_it(
    engine: Engine, tmp_path: Path
) -> None:
    make = Maker(tmp_path / "a")
    made = cache_in(engine, tmp_path / "a").ensure(HASH, make)
    elsewhere = cache_in(engine, tmp_path / "b")
    copy = elsewhere.ensure(HASH, make)
    assert copy.path.is_relative_to(tmp_path / "b")
    assert copy.path.read_bytes() == made.path.read_bytes()
    assert (make.calls, find_artifact(engine, HASH)) == (1, made)
    assert elsewhere.ensure(HASH, make) == copy
    assert [file.name for file in copy.path.parent.iterdir()] == [copy.path.name]


def test_of_two_that_need_it_one_makes_it_and_the_other_waits(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact_cache, "LOCK_POLL_S", 0.02)
    make, begun, go_on, waits = Maker(tmp_path), *(threading.Event() for _ in range(3))

    def slowly() -> Artifact:
        begun.set()
        assert go_on.wait(30)
        return make()

    def waiting(line: str) -> None:
        assert line.startswith("another process is training")
        waits.set()

    other = ArtifactCache(engine=engine, folder=tmp_path, stop=threading.Event(), announce=waiting)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cache_in(engine, tmp_path).ensure, HASH, slowly)
        assert begun.wait(30)
        second = threads.submit(other.ensure, HASH, slowly)
        assert waits.wait(30)
        go_on.set()
        assert first.result(30) == second.result(30)
    assert make.calls == 1


def test_a_stop_ends_the_waiting(engine: Engine, tmp_path: Path) -> None:
    said: list[str] = []
    waiting = cache_in(engine, tmp_path, said)
    waiting.stop.set()
    with (
        cache_in(engine, tmp_path).alone(HASH),
        pytest.raises(Interrupted, match="stopped while waiting"),
    ):
        waiting.ensure(HASH, Maker(tmp_path))
    assert len(said) == 1
    assert waiting.ensure(HASH, Maker(tmp_path)).metrics == {"score": 55.0}  # the lock is free


def test_what_is_recorded_under_a_hash_is_replaced(engine: Engine, tmp_path: Path) -> None:
    made = Maker(tmp_path)()
    for origin in ("trained", "/from/a/file.pt"):
        store_artifact(engine, Artifact(**{**vars(made), "origin": origin}))
        found = stored_artifact(engine, HASH)
        assert found is not None
        assert found.origin == origin
