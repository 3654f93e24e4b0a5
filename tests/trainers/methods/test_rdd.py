"""Relative difficulty distillation against the released code, and where the paper differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import resolve
from trainers.methods.rdd import RelativeDifficultyDistillation
from trainers.models.outputs import Outputs, Shape

RELEASED = {
    "kl_direction": "aux_main",
    "confidence": "ground_truth",
    "early_average": "all",
    "late_average": "selected",
    "class_weights": "cityscapes",
    "auxiliary": "own",
}
CITYSCAPES = Shape(num_classes=19, channels={}, auxiliary=True)
MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]
Reference = Callable[[str, str], dict[str, Tensor]]


def released(**params: float | int | str) -> RelativeDifficultyDistillation:
    values = resolve("rdd", {**RELEASED, **params})
    return RelativeDifficultyDistillation(values, CITYSCAPES, CITYSCAPES)


def step_of(case: dict[str, Tensor], progress: float, with_aux: bool = True) -> Step:
    return Step(
        student=Outputs(
            logits=case["student"], aux_logits=case.get("student_aux") if with_aux else None
        ),
        teacher=Outputs(logits=case["teacher"], aux_logits=case["teacher_aux"]),
        labels=case["labels"],
        progress=progress,
    )


@pytest.mark.parametrize(
    ("case", "progress", "params"),
    [
        ("early", 0.05, {}),
        ("early_main_head", 0.05, {}),
        ("late_xor", 0.5, {"min_kept": 50}),
        ("late_or", 0.5, {"min_kept": 50, "combination": "or"}),
        ("blend", 0.25, {"min_kept": 60, "blend": "linear"}),
    ],
)
def test_released_code_agrees_in_value_and_gradient(
    case: str, progress: float, params: dict[str, int | str], reference: Reference
) -> None:
    arrays = reference("relative_difficulty", case)
    loss = released(**params).task_loss(step_of(arrays, progress), 0.4)
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, arrays["loss"], rtol=1e-6, atol=0)
    for name in arrays.keys() & {"student", "student_aux"}:
        torch.testing.assert_close(arrays[name].grad, arrays[f"grad_{name}"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("combination", ["xor", "or"])
def test_released_code_agrees_on_the_main_head_alone(
    combination: str, reference: Reference
) -> None:
    arrays = reference("relative_difficulty", f"late_{combination}")
    method = released(combination=combination, min_kept=50)
    loss = method.task_loss(step_of(arrays, 0.5, with_aux=False), 0.4)
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, arrays["loss_main"], rtol=1e-6, atol=0)
    torch.testing.assert_close(arrays["student"].grad, arrays["grad_main"], rtol=1e-6, atol=1e-9)


def two_pixels(student: list[float], teacher: list[float]) -> Step:
    """Return a step of two classes, the first being the label; given are its probabilities."""

    def outputs(probabilities: list[float]) -> Outputs:
        first = torch.tensor(probabilities)
        logits = torch.stack([first, 1 - first]).log().view(1, 2, 1, -1)
        return Outputs(logits=logits, aux_logits=logits)

    return Step(
        student=replace(outputs(student), aux_logits=None),
        teacher=outputs(teacher),
        labels=torch.zeros(1, 1, len(student), dtype=torch.long),
        progress=0.5,
    )


@pytest.mark.parametrize(
    ("combination", "expected"),
    [("xor", [0, 1, 1, 0]), ("or", [0, 1, 1, 1]), ("and", [0, 0, 0, 1])],
)
def test_later_a_pixel_counts_by_who_is_sure_of_it(
    combination: str, expected: list[int], make_method: MakeMethod
) -> None:
    step = two_pixels(student=[0.9, 0.6, 0.1, 0.5], teacher=[0.8, 0.9, 0.6, 0.6])
    method = make_method("rdd", combination=combination)
    losses = -torch.tensor([0.9, 0.6, 0.1, 0.5]).log() * torch.tensor(expected)
    torch.testing.assert_close(method.task_loss(step, 0.4), losses.mean())


def test_paper_and_code_average_differ_by_the_selected_share(
    make_step: MakeStep, make_method: MakeMethod
) -> None:
    step = make_step()
    step = replace(step, student=replace(step.student, aux_logits=None))
    assert isinstance(method := make_method("rdd"), RelativeDifficultyDistillation)
    logs = torch.nn.functional.interpolate(
        step.student.logits, step.labels.shape[-2:], mode="bilinear", align_corners=True
    ).log_softmax(1)
    selected = method.pixel_weights(step, logs, step.teacher_outputs.logits)
    share = selected.sum() / (step.labels != 255).sum()
    by_code = make_method("rdd", late_average="selected").task_loss(step, 0.4)
    torch.testing.assert_close(method.task_loss(step, 0.4), share * by_code)


@pytest.mark.parametrize("average", ["valid", "selected"])
def test_an_empty_selection_gives_zero_and_a_gradient_of_zero(
    average: str, make_step: MakeStep, make_method: MakeMethod
) -> None:
    step = make_step()
    step = replace(step, teacher=step.student)
    loss = make_method("rdd", late_average=average, auxiliary="own").task_loss(step, 0.4)
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert step.student.logits.grad is not None
    assert not step.student.logits.grad.any()


def test_early_a_teacher_whose_heads_agree_leaves_the_task_loss_as_it_is(
    make_step: MakeStep, make_method: MakeMethod
) -> None:
    step = make_step(progress=0.0)
    teacher = replace(step.teacher_outputs, aux_logits=step.teacher_outputs.logits)
    loss = make_method("rdd").task_loss(replace(step, teacher=teacher), 0.4)
    torch.testing.assert_close(loss, make_method("baseline").task_loss(step, 0.4))


@pytest.mark.parametrize(
    ("blend", "progress", "expected"),
    [
        ("none", 0.0999, 1.0),
        ("none", 0.1, 0.0),
        ("linear", 0.0999, 1.0),
        ("linear", 0.1, 1.0),
        ("linear", 0.55, 0.5),
        ("linear", 1.0, 0.0),
    ],
)
def test_the_early_stage_gives_way_at_once_or_linearly(
    blend: str, progress: float, expected: float, make_method: MakeMethod
) -> None:
    assert isinstance(method := make_method("rdd", blend=blend), RelativeDifficultyDistillation)
    assert method.early_part(progress) == pytest.approx(expected)


def test_the_last_switch_is_the_early_share_or_with_a_blend_the_end() -> None:
    switch = RelativeDifficultyDistillation.last_switch
    assert switch(resolve("rdd", {"early_share": 0.2})) == 0.2
    assert switch(resolve("rdd", {"blend": "linear"})) == 1.0


def test_every_fault_of_the_values_is_said_at_once() -> None:
    words: dict[str, str] = {"combination": "xnor", "class_weights": "cityscapes"}
    values = resolve("rdd", {"threshold": 1.5, "min_kept": -1, **words})
    three = Shape(num_classes=3, channels={}, auxiliary=False)
    with pytest.raises(MethodError, match="'xnor'; did you mean 'xor'") as error:
        RelativeDifficultyDistillation(values, three, three)
    assert all(said in str(error.value) for said in ("1.5", "-1", "the task has 3", "head"))


def test_a_teacher_that_gives_no_auxiliary_logits_is_refused(
    make_step: MakeStep, make_method: MakeMethod
) -> None:
    step = make_step(progress=0.0)
    teacher = replace(step.teacher_outputs, aux_logits=None)
    with pytest.raises(MethodError, match="auxiliary"):
        make_method("rdd").task_loss(replace(step, teacher=teacher), 0.4)


def test_a_step_without_a_teacher_is_refused(make_step: MakeStep, make_method: MakeMethod) -> None:
    with pytest.raises(MethodError, match="the step has none"):
        make_method("rdd").losses(replace(make_step(), teacher=None))
