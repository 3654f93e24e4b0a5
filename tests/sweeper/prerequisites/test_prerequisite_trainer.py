"""What trials need is made once, found again, and frozen with the method's first launch."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import pytest

from sweeper.prerequisites.prerequisite_trainer import equal_effect
from sweeper.runners.inline import InlineRunner
from sweeper.scheduler.state_machine import Assignment, Sweep
from sweeper.store.database import Store
from tests.sweeper.driving import RUNGS, TRIALS, rows
from tests.sweeper.runners.tiny import REQUEST, open_tiny, prerequisite_trainer, run_tiny
from trainers.contract.template import write_pair
from trainers.method_api.sources import VARIABLE
from trainers.training.cohort import Trainer
from trainers.training.segment import Control, Ending, MemberOutcome, Outcome, Segment

CALIBRATIONS = "SELECT method, calibration FROM sweeper.study ORDER BY method"
ARTIFACTS = "SELECT kind, origin FROM sweeper.artifact ORDER BY kind"
STATES = "SELECT method, state, reason FROM sweeper.study ORDER BY method"


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer()


def train_prerequisites(sweep: Sweep, trainer: Trainer) -> list[str]:
    said: list[str] = []
    prerequisite_trainer(sweep, threading.Event(), said.append).train_prerequisites(trainer)
    return said


def own_method(folder: Path, factor: float) -> None:
    """Write a method whose term is so many times as large and its weight so many times smaller."""
    code, space = write_pair("mine", folder)
    code.write_text(
        code.read_text().replace("    return (student", f"    return {factor} * (student")
    )
    space.write_text(space.read_text().replace("logit_mse = 1.0", f"logit_mse = {1 / factor}"))


def test_a_range_follows_from_the_measured_effect(
    store: Store, tmp_path: Path, trainer: Trainer
) -> None:
    sweep = open_tiny(store, tmp_path)
    assert [study.method for study in sweep.missing_prerequisites().calibrations] == ["kd"]
    said = train_prerequisites(sweep, trainer)
    assert not sweep.missing_prerequisites()
    assert any("measuring the gradient-norm ratio of the terms: kd" in line for line in said)
    (_, none), (_, measured) = rows(store.engine, CALIBRATIONS)
    assert none is None
    assert len(measured["gradient_ratios"]) == 16
    assert measured["gradient_ratio"] == median(measured["gradient_ratios"])
    assert measured["equal"] == equal_effect(measured["gradient_ratios"])
    assert isinstance(sweep.next_segment(), Assignment)
    tried = [p["multiplier"] for m, _, p, *_ in rows(store.engine, TRIALS) if m == "kd"]
    low, high = 0.01 * measured["equal"], 10 * measured["equal"]
    assert tried[0] == 1
    assert all(min(low, 1) <= value <= max(high, 1) for value in tried)


def test_nothing_is_made_twice(store: Store, tmp_path: Path, trainer: Trainer) -> None:
    ka = replace(REQUEST, methods=("ka",))
    train_prerequisites(open_tiny(store, tmp_path, request=ka), trainer)
    assert rows(store.engine, ARTIFACTS) == [
        ("calibration", "trained"),
        ("preparation", "trained"),
        ("teacher", "trained"),
    ]
    other = open_tiny(store, tmp_path, request=replace(ka, sweep="other"))
    said = train_prerequisites(other, trainer)
    assert not [line for line in said if "training it" in line]
    first, second = (calibration for _, calibration in rows(store.engine, CALIBRATIONS))
    assert first == second
    assert train_prerequisites(other, trainer) == []


def test_what_was_made_under_another_folder_is_brought_where_the_workers_see_it(
    store: Store, tmp_path: Path, trainer: Trainer
) -> None:
    ka = replace(REQUEST, methods=("ka",))
    train_prerequisites(open_tiny(store, tmp_path / "a", request=ka), trainer)
    other = open_tiny(store, tmp_path / "b", request=replace(ka, sweep="other"))
    said = train_prerequisites(other, trainer)
    assert not [line for line in said if "training it" in line]
    place = other.driver_config
    assert place.teacher is not None
    for file in (place.teacher, *place.preparations.values()):
        assert file.is_relative_to(tmp_path / "b")
        assert file.is_file()


def test_a_later_search_takes_the_calibration_of_an_earlier_one(
    store: Store, tmp_path: Path, trainer: Trainer
) -> None:
    sweep = open_tiny(store, tmp_path)
    train_prerequisites(sweep, trainer)
    sweep.lease.release(store.engine)
    assert (
        not open_tiny(store, tmp_path, request=replace(REQUEST, repeats=2))
        .missing_prerequisites()
        .calibrations
    )


def test_a_scale_that_moves_from_term_to_weight_changes_nothing(
    store: Store,
    other_store: Store,
    tmp_path: Path,
    trainer: Trainer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    for place, factor in ((store, 1.0), (other_store, 1024.0)):
        folder = tmp_path / str(factor)
        monkeypatch.delenv(VARIABLE, raising=False)
        own_method(folder, factor)
        monkeypatch.setenv(VARIABLE, str(folder))
        sweep = open_tiny(
            place, folder / "checkpoints", request=replace(REQUEST, methods=("mine",))
        )
        assert run_tiny(sweep, InlineRunner(trainer, "here"))
        seen.append([rows(place.engine, query) for query in (TRIALS, RUNGS, CALIBRATIONS)])
    assert seen[0] == seen[1]


def test_a_term_without_effect_blocks_its_method_alone(
    store: Store, tmp_path: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = write_pair("inert", tmp_path)
    code.write_text(code.read_text().replace("    return (student", "    return 0 * (student"))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    sweep = open_tiny(store, tmp_path, request=replace(REQUEST, methods=("inert", "kd")))
    said = train_prerequisites(sweep, trainer)
    (_, state, reason), (_, other, _) = rows(store.engine, STATES)
    assert (state, other) == ("blocked", "active")
    assert reason.startswith("its terms cannot be calibrated: the gradient of its terms is 0")
    assert any(line.startswith("inert blocked") for line in said)
    assert isinstance(sweep.next_segment(), Assignment)


def test_a_term_whose_gradient_is_not_finite_on_one_batch_blocks_its_method(
    store: Store, tmp_path: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = write_pair("frail", tmp_path)
    seldom = "    return float('inf' if 0.4 < step.progress < 0.45 else 1) * logit_mse("
    code.write_text(code.read_text().replace("    return logit_mse(", seldom))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    train_prerequisites(
        open_tiny(store, tmp_path, request=replace(REQUEST, methods=("frail",))), trainer
    )
    [(_, state, reason)] = rows(store.engine, STATES)
    assert state == "blocked"
    assert "is not finite on 1 of 16 image batches" in reason


@dataclass(frozen=True)
class Diverging:
    """Trains what it is given, but of one kind every training diverges."""

    trainer: Trainer
    key: str

    def run(self, segment: Segment, control: Control) -> Outcome:
        if segment.members[0].key != self.key:
            return self.trainer.run(segment, control)
        ended = MemberOutcome(key=self.key, ending=Ending.DIVERGED, step=1, seconds=0.0)
        return Outcome(members=(ended,), wall_seconds=0.0, device_name="here")


@pytest.mark.parametrize(
    ("key", "blocked"), [("preparation", {"ka"}), ("student", {"ka", "kd"})], ids=["ka", "all"]
)
def test_what_cannot_be_trained_blocks_those_who_need_it_and_others_go_on(
    store: Store, tmp_path: Path, trainer: Trainer, key: str, blocked: set[str]
) -> None:
    request = replace(REQUEST, methods=("baseline", "ka", "kd"))
    sweep = open_tiny(store, tmp_path, request=request)
    prerequisite_trainer(sweep, threading.Event()).train_prerequisites(Diverging(trainer, key))
    found = {method: reason for method, state, reason in rows(store.engine, STATES) if reason}
    assert found.keys() == blocked
    assert all("diverged at step 1: a loss was not finite" in why for why in found.values())
    assert isinstance(sweep.next_segment(), Assignment)


def test_a_stop_while_measuring_leaves_the_rest_for_later(
    store: Store, tmp_path: Path, trainer: Trainer
) -> None:
    sweep = open_tiny(store, tmp_path)
    stop = threading.Event()
    stop.set()
    said: list[str] = []
    prerequisite_trainer(sweep, stop, said.append).train_prerequisites(trainer)
    assert sweep.missing_prerequisites()
    assert "stopped at step" in said[-1]
    train_prerequisites(sweep, trainer)
    assert not sweep.missing_prerequisites()
