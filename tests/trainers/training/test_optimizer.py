"""The learning rate at every step, and what a trial's own values replace."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from trainers.errors import MethodError
from trainers.tasks import Schedule
from trainers.training.optimizer import build_optimizer, clip, learning_rate, with_params

SCHEDULE = Schedule(steps=100, image_batch=2, learning_rate=0.5, power=0.9, weight_decay=0.01)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.5), (50, 0.5 * 0.5**0.9), (99, 0.5 * 0.01**0.9)])
def test_the_rate_decays_over_the_full_length(step: int, rate: float) -> None:
    assert learning_rate(SCHEDULE, step) == pytest.approx(rate)


def test_a_power_of_0_keeps_the_rate() -> None:
    assert learning_rate(SCHEDULE.model_copy(update={"power": 0.0}), 99) == 0.5


def test_a_trials_values_replace_the_schedules_and_the_rest_stays() -> None:
    schedule = with_params(SCHEDULE, {"learning_rate": 0.1, "momentum": 0.5, "temperature": 4})
    assert schedule == SCHEDULE.model_copy(update={"learning_rate": 0.1, "momentum": 0.5})


@pytest.mark.parametrize(("name", "value"), [("learning_rate", 0.0), ("weight_decay", -1.0)])
def test_a_value_out_of_bounds_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(MethodError, match=rf"{name}: .*, got {value}"):
        with_params(SCHEDULE, {name: value})


def test_a_batch_is_of_at_least_two_images() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Schedule(steps=100, image_batch=1, learning_rate=0.5)


def test_sgd_does_what_its_formula_says() -> None:
    parameter = nn.Parameter(torch.tensor([2.0]))
    optimizer = build_optimizer([parameter], SCHEDULE)
    for _ in range(2):
        parameter.grad = torch.tensor([1.0])
        optimizer.step()
    first = 2.0 - 0.5 * (1 + 0.01 * 2.0)
    momentum = 0.9 * (1 + 0.01 * 2.0) + (1 + 0.01 * first)
    assert parameter.item() == pytest.approx(first - 0.5 * momentum)


def test_adamw_is_built_with_the_schedules_values() -> None:
    adamw = SCHEDULE.model_copy(update={"optimizer": "adamw"})
    optimizer = build_optimizer([nn.Parameter(torch.zeros(1))], adamw)
    [group] = optimizer.param_groups
    assert (type(optimizer).__name__, group["lr"], group["weight_decay"]) == ("AdamW", 0.5, 0.01)


def test_what_needs_no_gradient_is_left_alone() -> None:
    frozen = nn.Parameter(torch.zeros(1), requires_grad=False)
    optimizer = build_optimizer([nn.Parameter(torch.zeros(1)), frozen], SCHEDULE)
    assert len(optimizer.param_groups[0]["params"]) == 1


@pytest.mark.parametrize(("norm", "factor"), [(10.0, 1.0), (5.1, 1.0), (2.5, 0.5)])
def test_gradients_longer_than_the_schedules_norm_are_cut_and_others_keep_every_bit(
    norm: float, factor: float
) -> None:
    parameters = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    for parameter, gradient in zip(parameters, (3.0, 4.0), strict=True):
        parameter.grad = torch.tensor([gradient])
    schedule = SCHEDULE.model_copy(update={"gradient_norm": norm})
    clip(build_optimizer(parameters, SCHEDULE), schedule)
    gradients = [p.grad.item() for p in parameters if p.grad is not None]
    assert gradients == pytest.approx([3 * factor, 4 * factor], rel=0 if factor == 1 else 1e-6)


def test_gradients_are_left_alone_where_the_schedule_says_nothing() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.tensor([1e9])
    clip(build_optimizer([parameter], SCHEDULE), SCHEDULE)
    assert parameter.grad.item() == 1e9
