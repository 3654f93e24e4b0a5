"""What a launch checks before anything is stored: names, budgets, spaces, needs of methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sweeper.core.constants import BASELINE
from sweeper.core.errors import PlanError
from sweeper.scheduler.declaration import Declaration, MethodPlan
from sweeper.search.brackets import BracketPlan
from sweeper.search.protocol import build_protocol
from sweeper.search.space import SpaceKind, build_space
from trainers.errors import MethodError
from trainers.method_api.registry import all_names, code_hash, resolve
from trainers.tasks import Task
from trainers.tasks.identity import TEACHER_SEED, teacher_identity


@dataclass(frozen=True, kw_only=True)
class Request:
    """A launch as the user asks for it; PlanError for a budget that its brackets do not make up."""

    task: Task
    sweep: str
    methods: Sequence[str]
    budget: int
    seed: int = 0
    repeats: int = 1
    space: SpaceKind = "primary"
    pruning: bool = True
    deterministic: bool = False
    data_root: Path | None = None

    def __post_init__(self) -> None:
        self.plan.check_budget(self.budget)

    @property
    def plan(self) -> BracketPlan:
        """The plan of each study."""
        return BracketPlan.of(self.task, pruning=self.pruning)


def check(request: Request) -> list[MethodPlan]:
    """Return the methods' plans; everything that needs neither database nor data is checked.

    Imports torch, since a method's class says what it needs.
    """
    from trainers.method_api.loading import load_method, preparation_name  # loads torch

    plans = []
    for name in request.methods:
        method = load_method(name)
        _check_teacher(request.task, name, method.needs_teacher, method.needs_teacher_aux)
        space = build_space(request.task, name, request.space)
        corners = (space.published, {d.name: d.high for d in space.dimensions if not d.by_effect})
        plans.append(
            MethodPlan(
                space=space,
                code_hash=code_hash(name),
                needs_teacher=method.needs_teacher,
                preparation=preparation_name(method),
                last_switch=max(method.last_switch(resolve(name, corner)) for corner in corners),
            )
        )
    return plans


def declaration(request: Request, plans: Sequence[MethodPlan], fingerprint: str) -> Declaration:
    """Return what is to be declared, for data with this fingerprint."""
    task = request.task
    recipe = teacher_identity(task, fingerprint, TEACHER_SEED) if task.teacher else None
    return Declaration(
        sweep=request.sweep,
        seed=request.seed,
        protocol=build_protocol(
            task,
            request.plan,
            space=request.space,
            deterministic=request.deterministic,
            data_fingerprint=fingerprint,
            teacher_recipe=recipe,
        ),
        methods=plans,
        budget=request.budget,
        repeats=request.repeats,
    )


@cache
def code_here(name: str) -> str:
    """Return the hash of a method's code in this installation, or that it is not there.

    Read once: what a process has imported does not change with its file.
    """
    try:
        return code_hash(name)
    except MethodError:
        return "not installed"


def all_methods(task: Task) -> list[str]:
    """Return every method that the task's teacher can serve, the baseline first."""
    from trainers.method_api.loading import load_method  # loads torch

    def served(name: str) -> bool:
        method = load_method(name)
        has_aux = task.teacher is not None and task.teacher.net.auxiliary
        return (task.teacher is not None or not method.needs_teacher) and (
            has_aux or not method.needs_teacher_aux
        )

    return sorted(filter(served, all_names()), key=lambda name: (name != BASELINE, name))


def _check_teacher(task: Task, method: str, teacher: bool, auxiliary: bool) -> None:
    if teacher and task.teacher is None:
        raise PlanError(f"method {method} needs a teacher, and task {task.name} has none")
    if auxiliary and task.teacher is not None and not task.teacher.net.auxiliary:
        raise PlanError(
            f"method {method} needs a teacher with a trained auxiliary head; task {task.name} has "
            "[teacher.net] auxiliary = false"
        )
