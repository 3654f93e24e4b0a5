"""Whatever becomes of a stored file, training never goes on from another state than it stored."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import trainers.training.member
from tests.trainers.tiny_task import TASK, StopAfter, digits, flipped, members, resumed, segment
from trainers.errors import CheckpointError, UnusableFile
from trainers.method_api import registry
from trainers.method_api.loading import load_method
from trainers.method_api.method import AuxiliaryModule, MemoryBank, Method, Step
from trainers.methods.baseline import Baseline
from trainers.models import build_net
from trainers.models.outputs import Outputs
from trainers.models.weights import load_backbone_weights
from trainers.runtime.torch_files import write
from trainers.training.checkpoints import Owner, State, load, read
from trainers.training.cohort import Trainer
from trainers.training.memory_banks import MemoryBanks
from trainers.training.segment import (
    Ending,
    Outcome,
    Segment,
    memory_bank_file,
)

FLIPPED, TRUNCATED, REPLACED = 400, 100, 50
Damage = Callable[[bytes, random.Random], bytes]


class Means(MemoryBank):
    """Keeps the mean label of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(8))

    def update(self, teacher: Outputs, labels_BHW: Tensor) -> None:  # noqa: ARG002 - as all do
        self.get_buffer("seen").copy_(self.get_buffer("seen").roll(1))
        self.get_buffer("seen")[0] = labels_BHW.float().mean()


class Whole(Baseline):
    """Has all that a checkpoint can hold: parameters, an auxiliary module, a memory bank."""

    needs_teacher = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.values["own"] = 0.1
        self.scale, self.judge = nn.Parameter(torch.ones(())), nn.Linear(1, 1)

    def losses(self, step: Step) -> dict[str, Tensor]:
        return {"own": self.scale * step.student.logits.mean()}

    def auxiliary_modules(self) -> dict[str, AuxiliaryModule]:
        optimizer = torch.optim.Adam(self.judge.parameters())
        return {"judge": AuxiliaryModule(module=self.judge, optimizer=optimizer)}

    def auxiliary_losses(self, step: Step) -> dict[str, Tensor]:
        return {"judge": self.judge(step.student.logits.detach().mean().reshape(1, 1)).sum()}

    def memory_bank(self) -> MemoryBank | None:
        return Means()


@pytest.fixture(autouse=True, scope="module")
def own_method() -> Iterator[None]:
    """Let members be of the method above, which has no files."""

    def load_own(name: str) -> type[Method]:
        return Whole if name == "whole" else load_method(name)

    def resolve(name: str, params: dict[str, float]) -> dict[str, float | int | str]:
        return {} if name == "whole" else registry.resolve(name, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainers.training.member, "load_method", load_own)
        patch.setattr(trainers.training.member, "resolve", resolve)
        yield


@dataclass(frozen=True)
class Stopped:
    """Two members that were stopped at step 2, and the segment that they were in."""

    segment: Segment
    outcome: Outcome

    @property
    def file(self) -> Path:
        return self.outcome.members[0].checkpoint or Path()

    @property
    def other(self) -> Path:
        return self.outcome.members[1].checkpoint or Path()


@pytest.fixture(scope="module")
def stopped(trainer: Trainer, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    folder = tmp_path_factory.mktemp("stopped")
    first = segment(folder, members("whole", "baseline"), teacher=teacher)
    return Stopped(first, trainer.run(first, StopAfter(2)))


def truncated(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.choice([0, 1, 4, chance.randrange(len(content))])]


def replacements(content: bytes, other: Path, folder: Path) -> list[bytes]:
    """Return what may lie in a file's place, with seeded noise to make up the number."""
    torch.save([1, 2], folder / "list.pt")
    torch.save({"student": {}}, folder / "bare.pt")
    torch.save(torch.ones(3), folder / "old.pt", _use_new_zipfile_serialization=False)
    write(folder / "ours.pt", {"something": "else"})
    known = [
        b"not a checkpoint",
        b"K\x01.",
        bytes(1000),
        b"PK\x03\x04" + bytes(100),
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"\xff\xfe" + "kein Archiv".encode("utf-16"),
        *(pickle.dumps([1, {"a": (2.5, None)}, print], protocol) for protocol in range(2, 6)),
        pickle.dumps({"student": 1, "format": 4}),
        content + b"more",
        content[100:],
        content[::-1],
        content * 2,
        other.read_bytes(),
        *((folder / f"{name}.pt").read_bytes() for name in ("list", "bare", "old", "ours")),
    ]
    chance = random.Random(2)
    noise = [chance.randbytes(chance.randrange(1, 300)) for _ in range(REPLACED - len(known))]
    return known + noise


def damaged(file: Path, other: Path, folder: Path) -> Iterator[bytes]:
    """Yield the contents of all damaged copies of a file."""
    content, chance = file.read_bytes(), random.Random(1)
    for _ in range(FLIPPED):
        yield flipped(content, chance)
    for _ in range(TRUNCATED):
        yield truncated(content, chance)
    yield from replacements(content, other, folder)


def is_same(one: Any, other: Any) -> bool:
    """Whether two states are equal to the last bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(one[k], other[k]) for k in one)
    return bool(one == other)


def parts(state: State) -> dict[str, Any]:
    return {field.name: getattr(state, field.name) for field in fields(state)}


def refusals(file: Path, contents: Iterator[bytes], read_it: Callable[[], Any]) -> int:
    """Return how many contents are refused; each other one must be read as the file was."""
    whole, count = read_it(), 0
    for content in contents:
        file.write_bytes(content)
        try:
            found = read_it()
        except CheckpointError as error:
            assert str(file.parent) in str(error)
            assert len(str(error).splitlines()) == 1
            count += 1
        else:
            assert is_same(whole, found)
    return count


def test_a_damaged_checkpoint_is_refused_or_read_as_it_was(
    stopped: Stopped, tmp_path: Path
) -> None:
    file, owner = tmp_path / "a.pt", Owner(**read(stopped.file)["owner"])
    file.write_bytes(stopped.file.read_bytes())
    state = load(file, owner)
    assert state.method and state.auxiliary_modules and state.optimizer  # noqa: PT018 - one question
    contents = damaged(stopped.file, stopped.other, tmp_path)
    count = refusals(file, contents, lambda: parts(load(file, owner)))
    assert count == FLIPPED + TRUNCATED + REPLACED


def test_a_damaged_memory_bank_is_refused_or_read_as_it_was(
    stopped: Stopped, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "a.pt"
    file = memory_bank_file(checkpoint)
    file.write_bytes(memory_bank_file(stopped.file).read_bytes())
    identity = dict(read(file)["identity"])
    identity.pop("key")

    def restored() -> dict[str, Any]:
        held = MemoryBanks(0, torch.device("cpu")).get_or_load(Means(), checkpoint, identity)
        return dict(held.state_dict())

    assert restored()["seen"].any()
    contents = damaged(memory_bank_file(stopped.file), stopped.file, tmp_path)
    assert refusals(file, contents, restored) == FLIPPED + TRUNCATED + REPLACED


@pytest.mark.parametrize("is_zip", [False, True])
def test_what_others_wrote_is_read_or_refused_in_one_line(
    is_zip: bool, stopped: Stopped, tmp_path: Path
) -> None:
    file, source = tmp_path / "a.pt", tmp_path / "foreign.pt"
    weights = {"a": torch.arange(6.0), "b": torch.ones(2, 2, dtype=torch.int8)}
    torch.save(weights, source, _use_new_zipfile_serialization=is_zip)
    net = TASK.student.model_copy(update={"weights": str(file)})
    backbone = build_net(TASK.student, 6).backbone
    refused = 0
    for content in damaged(source, stopped.other, tmp_path):
        file.write_bytes(content)
        with pytest.raises(CheckpointError) as raised:  # read or not, it is no backbone
            load_backbone_weights(backbone, net)
        assert len(str(raised.value).splitlines()) == 1
        try:
            read(file)
        except CheckpointError as error:
            assert len(str(error).splitlines()) == 1
            refused += 1
    assert refused > TRUNCATED


def test_others_read_our_files_by_a_plain_load(stopped: Stopped) -> None:
    content = torch.load(stopped.file, weights_only=True)
    assert is_same(content, read(stopped.file))


@pytest.mark.parametrize("name", ["checkpoint", "memory"])
def test_a_member_with_a_damaged_file_names_it_and_the_other_goes_on(
    name: str, stopped: Stopped, trainer: Trainer
) -> None:
    file = stopped.file if name == "checkpoint" else memory_bank_file(stopped.file)
    sound = file.read_bytes()
    undisturbed = trainer.run(resumed(stopped.segment, stopped.outcome))
    file.write_bytes(flipped(sound, random.Random(3)))
    bad, good = trainer.run(resumed(stopped.segment, stopped.outcome)).members
    file.write_bytes(sound)
    assert (bad.ending, bad.step, bad.damaged) == (Ending.DAMAGED, 2, file)
    assert digits(good) == digits(undisturbed.members[1])


def test_a_teacher_that_is_damaged_is_named_and_who_needs_none_goes_on(
    trainer: Trainer, teacher: Path, tmp_path: Path
) -> None:
    file = tmp_path / "teacher.pt"
    hashes = {file: read(teacher)["weights_hash"]}
    for content in (flipped(teacher.read_bytes(), random.Random(4)), b"", None):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        who = segment(tmp_path, members("baseline", "kd"), teacher=file, hashes=hashes, stop=1)
        good, bad = trainer.run(who).members
        assert (good.ending, bad.ending, bad.damaged) == (Ending.REACHED, Ending.DAMAGED, file)


def test_another_teacher_than_the_one_meant_is_refused(
    trainer: Trainer, teacher: Path, tmp_path: Path
) -> None:
    who = segment(tmp_path, members("kd"), teacher=teacher, hashes={teacher: "a" * 64}, stop=1)
    [bad] = trainer.run(who).members
    assert (bad.ending, bad.damaged) == (Ending.DAMAGED, teacher)


@pytest.mark.parametrize("is_student", [True, False], ids=["student", "teacher"])
def test_a_calibration_says_which_of_its_files_is_damaged(
    is_student: bool, trainer: Trainer, teacher: Path, stopped: Stopped, tmp_path: Path
) -> None:
    files = {"student": tmp_path / "student.pt", "teacher": tmp_path / "teacher.pt"}
    files["student"].write_bytes(stopped.other.read_bytes())
    files["teacher"].write_bytes(teacher.read_bytes())
    bad = files["student" if is_student else "teacher"]
    bad.write_bytes(flipped(bad.read_bytes(), random.Random(6)))
    who = [replace(each, checkpoint=files["student"]) for each in members("kd", "at")]
    place = {"teacher": files["teacher"], "start": 2, "calibrates": True}
    found = trainer.run(segment(tmp_path, who, **place)).members
    assert {(each.ending, each.damaged) for each in found} == {(Ending.DAMAGED, bad)}


def test_the_fault_survives_its_way_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(UnusableFile(Path("a.pt"), "damaged")))
    assert (str(error), error.file) == ("a.pt: damaged", Path("a.pt"))
