"""What a launch checks before anything is stored, and what it then declares."""

from __future__ import annotations

from typing import Any

import pytest

from sweeper.core.errors import PlanError
from sweeper.scheduler.launch_request import Request, all_methods, check, code_here, declaration
from trainers.errors import MethodError
from trainers.method_api.registry import all_names, code_hash
from trainers.tasks import Task, load_task

SHAPES = load_task("shapes")


def without_teacher() -> Task:
    return SHAPES.model_copy(update={"teacher": None})


def without_auxiliary_head() -> Task:
    assert SHAPES.teacher is not None
    net = SHAPES.teacher.net.model_copy(update={"auxiliary": False})
    return SHAPES.model_copy(update={"teacher": SHAPES.teacher.model_copy(update={"net": net})})


def request(**changes: Any) -> Request:
    return Request(
        **{"task": SHAPES, "sweep": "s", "methods": ("baseline", "kd"), "budget": 16} | changes
    )


def test_every_method_has_its_space_its_code_and_its_needs() -> None:
    baseline, kd, ka = check(request(methods=("baseline", "kd", "ka")))
    assert [plan.space.method for plan in (baseline, kd, ka)] == ["baseline", "kd", "ka"]
    assert [plan.needs_teacher for plan in (baseline, kd, ka)] == [False, True, True]
    assert [plan.preparation for plan in (baseline, kd, ka)] == [None, None, "ka"]
    assert kd.code_hash == code_hash("kd") == code_here("kd")


def test_a_method_with_stages_says_when_the_last_one_begins_wherever_it_is_tuned() -> None:
    [kd] = check(request(methods=("kd",)))
    [rdd] = check(request(methods=("rdd",)))
    assert (kd.last_switch, rdd.last_switch) == (0.0, 0.1)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"budget": 12}, PlanError, "use 8 or 16"),
        ({"methods": ("kdd",)}, MethodError, "did you mean 'kd'"),
        ({"task": without_teacher()}, PlanError, "kd needs a teacher, and task shapes has none"),
        (
            {"task": without_auxiliary_head(), "methods": ("rdd",)},
            PlanError,
            "rdd needs a teacher with a trained auxiliary head",
        ),
    ],
)
def test_what_cannot_be_launched_is_refused(
    changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        check(request(**changes))


def test_all_methods_are_those_that_the_tasks_teacher_can_serve() -> None:
    assert all_methods(SHAPES)[0] == "baseline"
    assert set(all_methods(SHAPES)) == set(all_names())
    assert "rdd" not in all_methods(without_auxiliary_head())
    assert "kd" in all_methods(without_auxiliary_head())
    assert all_methods(without_teacher()) == ["baseline"]


def test_what_is_declared_depends_on_the_data() -> None:
    plans = check(request())
    one, other = (declaration(request(), plans, data) for data in ("one", "other"))
    assert one.protocol["data_fingerprint"] == "one"
    assert one.protocol["teacher_recipe"] != other.protocol["teacher_recipe"]
    alone = declaration(request(task=without_teacher()), plans, "one")
    assert alone.protocol["teacher_recipe"] is None
    assert (one.budget, one.repeats, list(one.methods)) == (16, 1, plans)


def test_a_method_that_is_not_here_has_no_code() -> None:
    assert code_here("nobody") == "not installed"
