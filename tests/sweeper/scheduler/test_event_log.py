"""The logs of a sweep and of its segments: what stands in them, and that they disturb nothing."""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from sweeper.core import provenance
from sweeper.runners.inline import InlineRunner
from sweeper.scheduler.event_log import SweepLog
from sweeper.scheduler.state_machine import Sweep
from sweeper.store.database import Store
from tests.sweeper.driving import failing, open_sweep, run_sweep
from tests.sweeper.fakes import FakeTrainer, Killed
from tests.sweeper.runners.tiny import REQUEST, assert_complete, log_of, open_tiny, run_tiny
from trainers.training.cohort import Trainer
from trainers.training.imported_code import imported_code
from trainers.training.segment import Ending

Line = dict[str, Any]


def lines_of(file: Path) -> list[Line]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def named(lines: list[Line], event: str) -> list[Line]:
    return [line for line in lines if line["event"] == event]


def logged(sweep: Sweep) -> SweepLog:
    return sweep.open_log("cpu", threading.Event())


def test_a_sweep_and_its_segments_tell_what_they_did(store: Store, tmp_path: Path) -> None:
    sweep = open_tiny(store, tmp_path)
    with logged(sweep):
        assert run_tiny(sweep, InlineRunner(Trainer(), "cpu"))
    told = lines_of(sweep.log_file)
    assert (told[0]["event"], told[0]["pid"]) == ("driver started", os.getpid())
    assert (told[-1]["event"], told[-1]["how"]) == ("driver ended", "done")
    assert {line["method"] for line in named(told, "judged")} == set(REQUEST.methods)
    issued, recorded = named(told, "segment issued"), named(told, "segment recorded")
    assert [line["segment"] for line in issued] == [line["segment"] for line in recorded]
    for line in issued:
        own = lines_of(Path(line["log"]))
        assert [member["key"] for member in own[0]["members"]] == line["members"]
        assert {end["member"] for end in named(own, "member ended")} == set(line["members"])
        assert named(own, "loss")
        assert (own[-1]["event"], own[-1]["reached"]) == ("segment ended", line["stop"])


def test_every_line_has_its_time_in_utc(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    with logged(sweep):
        run_sweep(sweep)
    times = [line["at"] for line in lines_of(sweep.log_file)]
    assert times == sorted(times)
    assert all(len(time) == len("2026-01-01T00:00:00.000+00:00") for time in times)
    assert all(time.endswith("+00:00") for time in times)


def test_a_method_that_fails_is_in_the_log_with_its_name(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    with logged(sweep):
        run_sweep(sweep, FakeTrainer(fault=failing(Ending.FAILED, "s/kd#1", "s/kd#2", "s/kd#3")))
    [failed] = named(lines_of(sweep.log_file), "method_failed")
    assert failed["method"] == "kd"
    assert "on order" in failed["why"]


def test_a_crash_names_the_log_and_is_in_it(store: Store, tmp_path: Path) -> None:
    sweep = open_sweep(store, tmp_path)
    with pytest.raises(Killed) as caught, logged(sweep):
        run_sweep(sweep, FakeTrainer(die_at=1))
    assert any(str(sweep.log_file) in note for note in caught.value.__notes__)
    assert "Killed" in lines_of(sweep.log_file)[-1]["traceback"]


def test_warnings_of_the_package_are_in_the_log_with_their_traceback(
    store: Store, tmp_path: Path
) -> None:
    sweep = open_sweep(store, tmp_path)
    with logged(sweep):
        logging.getLogger("trainers.somewhere").warning("odd", exc_info=ValueError("seven"))
        logging.getLogger("trainers.somewhere").info("usual")
    lines = lines_of(sweep.log_file)
    assert not named(lines, "usual")
    [line] = named(lines, "odd")
    assert (line["level"], "seven" in line["traceback"]) == ("warning", True)


def test_after_the_log_is_closed_loggers_are_as_before(store: Store, tmp_path: Path) -> None:
    loggers = [logging.getLogger(name) for name in ("sweeper", "trainers")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    with logged(open_sweep(store, tmp_path)):
        pass
    assert [(logger.level, logger.handlers) for logger in loggers] == before


def test_a_folder_that_cannot_be_written_is_one_warning_and_no_more(
    store: Store, other_store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_tiny(open_tiny(other_store, tmp_path / "other"), InlineRunner(Trainer(), "cpu"))
    sweep = open_tiny(store, tmp_path / "here")
    sweep.root.mkdir(parents=True)
    sweep.log_file.parent.write_text("a file where the folder should be")
    with logged(sweep):
        assert run_tiny(sweep, InlineRunner(Trainer(), "cpu"))
    assert_complete(store, log_of(other_store))
    warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [str(sweep.log_file.parent) in message for message in warned] == [True]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_is_one_warning_and_no_more(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sweep = open_sweep(store, tmp_path)
    sweep.log_file.parent.mkdir(parents=True)
    sweep.log_file.symlink_to("/dev/full")
    with logged(sweep):
        assert run_sweep(sweep)
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert ["No space left" in record.getMessage() for record in warned] == [True]


def test_a_later_driver_appends_and_tells_what_it_gave_up(store: Store, tmp_path: Path) -> None:
    first = open_sweep(store, tmp_path)
    with pytest.raises(Killed), logged(first):
        run_sweep(first, FakeTrainer(die_at=1))
    second = open_sweep(store, tmp_path)
    with logged(second):
        assert run_sweep(second)
    told = lines_of(first.log_file)
    assert [line["how"] for line in named(told, "driver ended")] == ["crashed", "done"]
    [lost] = named(told, "lost")
    assert lost["why"] == "their driver ended"


def test_a_bare_checkout_has_a_provenance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGES", ("sweeper", "a-package-nobody-has"))
    known = provenance.provenance()
    assert known["packages"]["a-package-nobody-has"] == "not installed"
    assert known["code_hash"] == imported_code().hash
