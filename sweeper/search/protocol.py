"""The protocol: all that must be equal for every method of a sweep, frozen at its first launch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sweeper.core.errors import ProtocolMismatch
from sweeper.search.brackets import BracketPlan
from sweeper.search.space import SpaceKind, shared_ranges
from sweeper.search.trials import SOBOL_SEED, TPE_ARGUMENTS
from trainers.runtime.numerics import NUMERICS_VERSION
from trainers.tasks import Task

Json = dict[str, Any]


def build_protocol(
    task: Task,
    plan: BracketPlan,
    *,
    space: SpaceKind,
    deterministic: bool,
    data_fingerprint: str,
    teacher_recipe: str | None,
) -> Json:
    """Return the protocol as plain JSON values."""
    return {
        "task": task.identity(),
        "plan": {
            "bracket": plan.bracket,
            "rung_steps": list(plan.rung_steps),
            "keep": list(plan.keep),
            "anchors": plan.anchors,
        },
        "shared": {name: r.model_dump() for name, r in shared_ranges(task).items()},
        "space": space,
        "sampler": {"startup": "sobol", "sobol_seed": SOBOL_SEED, "tpe": dict(TPE_ARGUMENTS)},
        "metric": "mIoU in percent, selection split, whole image, one scale, last step",
        "numerics": {"version": NUMERICS_VERSION, "deterministic": deterministic},
        "data_fingerprint": data_fingerprint,
        "teacher_recipe": teacher_recipe,
    }


def plan_of(protocol: Mapping[str, Any]) -> BracketPlan:
    """Return the plan that a stored protocol holds."""
    plan = protocol["plan"]
    return BracketPlan(
        bracket=plan["bracket"],
        rung_steps=tuple(plan["rung_steps"]),
        keep=tuple(plan["keep"]),
        anchors=plan["anchors"],
    )


def task_of(protocol: Mapping[str, Any]) -> Task:
    """Return the task that a stored protocol was made from."""
    return Task.model_validate(protocol["task"] | {"description": ""})


def check_equal(what: str, stored: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise ProtocolMismatch naming every field that differs, with old and new value."""
    faults = [
        f"{field}: was {old!r}, now {new!r}" for field, old, new in _differences(stored, given)
    ]
    if faults:
        raise ProtocolMismatch(
            f"{what} differs from the one it was launched with ({'; '.join(faults)}); "
            "equal treatment would end here: undo the change, or use another --sweep NAME"
        )


def _differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    elif old != new:
        yield path, old, new
