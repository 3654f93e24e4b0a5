"""What Optuna's dashboard says beside a study and a trial, in Markdown.

The dashboard's own `save_note` imports all of the dashboard, a second at every launch. So what it
stores is written here: the text in pieces under `note_str:0`, `note_str:1`, ..., and a version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.artifacts import ArtifactMeta
from optuna.storages import BaseStorage

from sweeper.search.space import Dimension, Space
from trainers.errors import MethodError
from trainers.method_api.registry import read_space
from trainers.method_api.space_file import MethodSpace
from trainers.tasks.schema import Net, Task

PIECE = 2045  # characters of a note in one attribute, as the dashboard cuts it
READING = (
    "**How to read it:** values are mIoU in percent on the selection split. They guide this search "
    "and are no evidence between methods: confirmations are."
)
ABSENT = "The method is not installed where this note was written."


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A study as the notes of its sweep speak of it."""

    optuna_id: int
    name: str  # in Optuna
    method: str
    budget: int
    state: str
    space: Space
    task: Task
    plan: Mapping[str, Any]  # of the protocol


def study_note(subject: Subject, siblings: Sequence[Subject]) -> str:
    """Return the note of a study; `siblings` are the other studies of its sweep."""
    sections = [
        [f"# {subject.name}", *_publication(subject.method), READING],
        ["## Compare with", *_comparison(subject, siblings)],
        ["## Search space", _space(subject.space)],
        ["## Task", *_task(subject.task, subject.plan)],
    ]
    return "\n\n".join(paragraph for section in sections for paragraph in section) + "\n"


def trial_note(study_id: int, trial_id: int, artifacts: Iterable[ArtifactMeta]) -> str:
    """Return the note of a trial: its pictures, large enough to be read."""
    place = f"/artifacts/{study_id}/{trial_id}"
    return "\n\n".join(f"![{meta.filename}]({place}/{meta.artifact_id})" for meta in artifacts)


def write_study_note(storage: BaseStorage, study_id: int, body: str) -> None:
    """Store the note of a study, unless it says that already."""
    stem, present = "dashboard:note_str:", storage.get_study_system_attrs(study_id)
    old = {key: value for key, value in present.items() if key.startswith(stem)}
    pieces = [body[first : first + PIECE] for first in range(0, len(body), PIECE)]
    # A longer note's last pieces are emptied: attributes cannot be removed.
    new = dict.fromkeys(old, "") | {f"{stem}{place}": piece for place, piece in enumerate(pieces)}
    if new == old:
        return
    for key, piece in new.items():
        storage.set_study_system_attr(study_id, key, piece)
    version = present.get("dashboard:note_ver", 0) + 1
    storage.set_study_system_attr(study_id, "dashboard:note_ver", version)


def write_trial_note(storage: BaseStorage, study_id: int, trial_id: int, body: str) -> None:
    """Store the note of a trial, which is of one piece; the dashboard keeps it with the study.

    It is not read before: all trials' notes would be read with it.
    """
    storage.set_study_system_attr(study_id, f"dashboard:{trial_id}:note_str:0", body)
    storage.set_study_system_attr(study_id, f"dashboard:{trial_id}:note_ver", 1)


def _publication(method: str) -> Iterator[str]:
    try:
        about = read_space(method)
    except MethodError:
        yield ABSENT
        return
    yield f"{about.paper}. {about.venue}, {about.year}."
    if about.terms:
        yield _table(("term", "published weight", "source"), _terms(about))
    else:
        yield "It has no term of distillation: the labels alone teach."


def _terms(about: MethodSpace) -> Iterator[tuple[str, ...]]:
    for term in about.terms:
        yield term, _number(float(about.published[term])), about.sources[term]


def _comparison(subject: Subject, siblings: Sequence[Subject]) -> Iterator[str]:
    yield (
        f"Budget: {subject.budget} trials. The best of this study can be set beside the best of "
        "a study with the same budget:"
    )
    if siblings:
        yield "\n".join(f"- {_link(sibling)}" for sibling in siblings)
    else:
        yield "- none yet: the sweep has no other method"


def _link(sibling: Subject) -> str:
    state = "" if sibling.state == "active" else f", {sibling.state}"
    link = f"[{sibling.name}](/dashboard/studies/{sibling.optuna_id})"
    return f"{link}: {sibling.budget} trials{state}"


def _space(space: Space) -> str:
    return _table(("dimension", "range", "log", "published"), map(_dimension, space.dimensions))


def _dimension(dimension: Dimension) -> tuple[str, ...]:
    log = "yes" if dimension.log else "no"
    return dimension.name, dimension.limits, log, _number(dimension.published)


def _task(task: Task, plan: Mapping[str, Any]) -> Iterator[str]:
    height, width = task.data.size
    schedule = task.schedule
    yield f"`{task.name}`: data set {task.data.reader}, images of {width} x {height} pixels"
    yield "\n".join(
        [
            f"- student: {_net(task.student)}",
            f"- teacher: {_net(task.teacher.net) if task.teacher else 'none'}",
            f"- training: {schedule.steps:,} steps of {schedule.image_batch} images, "
            f"{schedule.optimizer}",
            f"- brackets of {plan['bracket']} trials: {_judging(plan)}",
        ]
    )


def _judging(plan: Mapping[str, Any]) -> str:
    rungs = zip(plan["keep"], plan["rung_steps"], strict=True)
    judging = ", ".join(f"{keep} train to step {step:,}" for keep, step in rungs)
    return f"{judging}; the first {plan['anchors']} trials of the study always to the end"


def _net(net: Net) -> str:
    width = "" if net.backbone_width == 1.0 else f" of width {net.backbone_width:g}"
    return f"{net.head} on {net.backbone}{width}, output stride {net.output_stride}"


def _number(value: float) -> str:
    return f"{value:g}"


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [" | ".join(map(_cell, line)) for line in (head, (":---",) * len(head), *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _cell(words: str) -> str:
    """Return a cell's text; the dashboard leaves no space between columns."""
    return words if words == ":---" else words.replace("|", "\\|") + "&emsp;"
