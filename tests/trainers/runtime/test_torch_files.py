"""Files that end with the digest of all their bytes: written whole, checked, read by anybody."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainers.errors import CheckpointError, UnusableFile
from trainers.runtime.torch_files import MARK, check, load, write


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "ours.pt", {"weights": torch.arange(4.0)})
    return tmp_path / "ours.pt"


def test_what_was_written_is_read_and_nothing_else_is_left(file: Path) -> None:
    check(file)
    content = load(file, is_ours=True)
    assert isinstance(content, dict)
    assert content["weights"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert [each.name for each in file.parent.iterdir()] == ["ours.pt"]


@pytest.mark.parametrize("place", [0, 100, -1, -70])
def test_a_changed_byte_is_noticed_wherever_it_lies(place: int, file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(UnusableFile, match="damaged"):
        check(file)


def test_a_file_without_a_digest_is_read_where_it_need_not_be_ours(tmp_path: Path) -> None:
    torch.save({"a": 1}, tmp_path / "foreign.pt")
    assert MARK not in (tmp_path / "foreign.pt").read_bytes()
    assert load(tmp_path / "foreign.pt", is_ours=False) == {"a": 1}
    with pytest.raises(UnusableFile, match="does not end with its digest"):
        load(tmp_path / "foreign.pt", is_ours=True)


def test_a_file_that_is_gone_is_unusable_and_bytes_of_another_kind_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(UnusableFile, match="cannot be read"):
        load(tmp_path / "gone.pt", is_ours=False)
    (tmp_path / "text.pt").write_text("no archive")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        load(tmp_path / "text.pt", is_ours=False)
